// Reads plan.json; quant_plan.cpp writes it.
#include <fmt/format.h>

#include "core/json_fields.h"
#include "core/json_text.h"
#include "quant/quant_plan.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr int kPlanFormat = 1;
constexpr std::string_view kTopKeys[] = {"format",    "model", "model_sha256", "calibrate",
                                         "embedding", "units", "record"};
constexpr std::string_view kUnitKeys[] = {"name", "format", "algorithm", "accuracy_level", "smooth"};

// What `take` makes of a text; a UsageError of it becomes one of the file.
template <class Take>
auto taken(const JsonFields& fields, const char* key, Take&& take) {
  const std::string found = fields.text(key);
  try {
    return take(found);
  } catch (const UsageError& error) {
    fields.refuse(fmt::format("has a wrong {}: {}", key, error.what()));
  }
}

std::string optional_text(const JsonFields& fields, const char* key) {
  return fields.mentions(key) ? fields.text(key) : std::string();
}

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

std::string sha256_text(const JsonFields& top) {
  const std::string text = optional_text(top, "model_sha256");
  const bool digits = text.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!text.empty() && (text.size() != 64 || !digits))
    top.fail("model_sha256", "64 hexadecimal digits in lower case");
  return text;
}

PlannedFormat planned_format(const JsonFields& fields) {
  PlannedFormat planned;
  planned.format = taken(fields, "format", [](const std::string& text) { return parse_format(text); });
  if (fields.mentions("algorithm")) {
    planned.algorithm =
        taken(fields, "algorithm", [](const std::string& text) { return parse_weight_algorithm(text); });
  }
  if (fields.mentions("accuracy_level"))
    planned.accuracy_level = static_cast<int>(fields.whole("accuracy_level", 0, 4));
  if (fields.mentions("smooth")) {
    const Json& smooth = fields.at("smooth");
    const bool chosen = smooth == "auto";
    if (!chosen && (!smooth.is_number() || smooth.get<double>() < 0))
      fields.fail("smooth", "a number above 0 to 1, or \"auto\"");
    planned.smooth = chosen ? kChooseSmooth : smooth.get<double>();
  }
  try {
    check(planned);
  } catch (const UsageError& error) {
    fields.refuse(fmt::format("has what does not go together: {}", error.what()));
  }
  return planned;
}

PlanEntry plan_entry(JsonFields fields) {
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
    if (fields.mentions(key))
      fields.refuse(fmt::format("is kept as it is, but has the key {}; leave that out", key));
  }
  return entry;
}

}  // namespace

QuantPlan QuantPlan::parse(std::string_view json, std::string_view source) {
  const Json parsed = parse_json(json, source);
  JsonProblems problems(source, JsonErrors::first, JsonWording::owner);
  const JsonFields top(parsed, problems, "the plan");
  if (const Json& format = top.at("format"); format != kPlanFormat) {
    throw InputError(fmt::format("{} has the format {}; this version of qvl reads {}", source, shown(format),
                                 kPlanFormat));
  }
  top.allow(kTopKeys);
  QuantPlan plan;
  plan.model = optional_text(top, "model");
  plan.model_sha256 = sha256_text(top);
  if (top.mentions("calibrate")) {
    plan.calibration =
        taken(top, "calibrate", [](const std::string& text) { return parse_calibration(text); });
  }
  if (top.mentions("embedding") && top.text("embedding") != "keep")
    plan.embedding = taken(top, "embedding", embedding_format);
  const Json& units = top.at("units");
  if (!units.is_array() || (units.empty() && !plan.embedding))
    top.fail("units", R"(a list of one entry at least (as {"name": "*", "format": "int4:32"}))");
  plan.entries.reserve(units.size());
  top.each_object("units", [&](const JsonFields& fields) { plan.entries.push_back(plan_entry(fields)); });
  if (const Json* record = top.find("record")) plan.record = record->dump();
  return plan;
}

}  // namespace qvl
