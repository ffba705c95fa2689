// Reads plan.json; quant_plan.cpp writes it.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "core/json_text.h"
#include "quant/quant_plan.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr int kPlanFormat = 1;
constexpr std::string_view kTopKeys[] = {"format",    "model", "model_sha256", "calibrate",
                                         "embedding", "units", "record"};
constexpr std::string_view kUnitKeys[] = {"name", "format", "algorithm", "accuracy_level", "smooth"};

// Text out of the file, short enough for a message.
std::string shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  const std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= 80 ? text : text.substr(0, 80) + "…";
}

// One object of the plan; where it stands goes into messages.
class Fields {
 public:
  Fields(const Json& object, std::string where, std::string_view source)
      : object_(object), where_(std::move(where)), source_(source) {
    if (!object.is_object()) fail(fmt::format("is {}; an object is expected", shown(object)));
  }

  // From here on messages name the entry too.
  void call(const std::string& name) { where_ += fmt::format(" ({})", shown(name)); }

  void allow(std::span<const std::string_view> known) const {
    for (auto member = object_.begin(); member != object_.end(); ++member) {
      if (std::ranges::find(known, member.key()) == known.end()) {
        fail(fmt::format("has the unknown key {}; known are {}", shown(member.key()),
                         fmt::join(known.begin(), known.end(), ", ")));
      }
    }
  }

  [[nodiscard]] const Json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  [[nodiscard]] const Json& at(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) fail(fmt::format("has no {}", key));
    return *value;
  }

  [[nodiscard]] std::string text(const char* key) const {
    const Json& value = at(key);
    if (!value.is_string()) fail(key, "a string");
    return value.get<std::string>();
  }

  [[nodiscard]] std::string optional_text(const char* key) const {
    return find(key) == nullptr ? std::string() : text(key);
  }

  // What `take` makes of a text; a UsageError of it becomes one of the file.
  template <class Take>
  [[nodiscard]] auto taken(const char* key, Take&& take) const {
    const std::string found = text(key);
    try {
      return take(found);
    } catch (const UsageError& error) {
      fail(fmt::format("has a wrong {}: {}", key, error.what()));
    }
  }

  [[noreturn]] void fail(const char* key, std::string_view wanted) const {
    fail(fmt::format("has the {} {}; {} is expected", key, shown(at(key)), wanted));
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(fmt::format("{}: {} {}", source_, where_, what));
  }

 private:
  const Json& object_;
  std::string where_;
  std::string_view source_;
};

Format embedding_format(const std::string& text) {
  const Format format = parse_format(text);
  if (format.block == 0) {
    throw UsageError(fmt::format(
        "the format {} has no blocks; a table of embeddings is stored as int8:B or int4:B (as int8:32), or "
        "\"keep\"",
        text));
  }
  return format;
}

std::string sha256_text(const Fields& top) {
  const std::string text = top.optional_text("model_sha256");
  const bool digits = text.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!text.empty() && (text.size() != 64 || !digits))
    top.fail("model_sha256", "64 hexadecimal digits in lower case");
  return text;
}

PlannedFormat planned_format(const Fields& fields) {
  PlannedFormat planned;
  planned.format = fields.taken("format", [](const std::string& text) { return parse_format(text); });
  if (fields.find("algorithm") != nullptr) {
    planned.algorithm =
        fields.taken("algorithm", [](const std::string& text) { return parse_weight_algorithm(text); });
  }
  if (const Json* level = fields.find("accuracy_level")) {
    if (!level->is_number_unsigned() || level->get<std::uint64_t>() > 4)
      fields.fail("accuracy_level", "a whole number of 0 to 4");
    planned.accuracy_level = level->get<int>();
  }
  if (const Json* smooth = fields.find("smooth")) {
    const bool chosen = *smooth == "auto";
    if (!chosen && (!smooth->is_number() || smooth->get<double>() < 0))
      fields.fail("smooth", "a number above 0 to 1, or \"auto\"");
    planned.smooth = chosen ? kChooseSmooth : smooth->get<double>();
  }
  try {
    check(planned);
  } catch (const UsageError& error) {
    fields.fail(fmt::format("has what does not go together: {}", error.what()));
  }
  return planned;
}

PlanEntry plan_entry(const Json& json, std::size_t index, std::string_view source) {
  Fields fields(json, fmt::format("units[{}]", index), source);
  PlanEntry entry;
  entry.name = fields.text("name");
  if (entry.name.empty()) fields.fail("name", "the name of a unit, or a pattern with * and ?");
  fields.call(entry.name);
  fields.allow(kUnitKeys);
  if (fields.text("format") != "keep") {
    entry.format = planned_format(fields);
    return entry;
  }
  for (const char* key : {"algorithm", "accuracy_level", "smooth"}) {
    if (fields.find(key) != nullptr)
      fields.fail(fmt::format("is kept as it is, but has the key {}; leave that out", key));
  }
  return entry;
}

}  // namespace

QuantPlan QuantPlan::parse(std::string_view json, std::string_view source) {
  const Json parsed = parse_json(json, source);
  const Fields top(parsed, "the plan", source);
  if (const Json& format = top.at("format"); format != kPlanFormat) {
    throw InputError(fmt::format("{} has the format {}; this version of qvl reads {}", source, shown(format),
                                 kPlanFormat));
  }
  top.allow(kTopKeys);
  QuantPlan plan;
  plan.model = top.optional_text("model");
  plan.model_sha256 = sha256_text(top);
  if (top.find("calibrate") != nullptr) {
    plan.calibration =
        top.taken("calibrate", [](const std::string& text) { return parse_calibration(text); });
  }
  if (top.find("embedding") != nullptr && top.text("embedding") != "keep")
    plan.embedding = top.taken("embedding", embedding_format);
  const Json& units = top.at("units");
  if (!units.is_array() || (units.empty() && !plan.embedding))
    top.fail("units", R"(a list of one entry at least (as {"name": "*", "format": "int4:32"}))");
  plan.entries.reserve(units.size());
  for (std::size_t i = 0; i < units.size(); ++i) plan.entries.push_back(plan_entry(units[i], i, source));
  if (const Json* record = top.find("record"); record != nullptr && !record->is_null())
    plan.record = record->dump();
  return plan;
}

}  // namespace qvl
