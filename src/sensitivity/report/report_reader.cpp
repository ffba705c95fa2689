#include "sensitivity/report/report_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "checkpoint/message_quote.h"
#include "core/json_text.h"
#include "core/text_file.h"
#include "qvl/error.h"
#include "sensitivity/report/report_names.h"

namespace qvl {
namespace {

// Exact as a double too, and sums of them stay far from the end of 64 bits.
constexpr std::int64_t kMostCount = std::int64_t{1} << 53U;

std::string shown(const Json& value) {
  if (value.is_string()) return quote_for_message(value.get_ref<const std::string&>());
  if (value.is_object()) return "an object";
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  return value.dump();
}

// One object of the report and where it stands. The Json must outlive it.
class Fields {
 public:
  Fields(const Json& object, std::string where, std::string_view source)
      : object_(&object), where_(std::move(where)), source_(source) {
    if (!object.is_object()) fail(where_.empty() ? "the top level" : where_, "an object", object);
  }

  [[nodiscard]] const Json& json() const noexcept { return *object_; }

  [[nodiscard]] const Json& at(const char* key) const {
    const auto found = object_->find(key);
    if (found == object_->end()) throw InputError(fmt::format("{}: {} is missing", source_, path(key)));
    return *found;
  }

  // Null when it is absent or null.
  [[nodiscard]] const Json* find(const char* key) const {
    const auto found = object_->find(key);
    return found == object_->end() || found->is_null() ? nullptr : &*found;
  }

  [[nodiscard]] std::string text(const char* key) const { return text(at(key), path(key)); }

  [[nodiscard]] std::string text(const Json& value, const std::string& place) const {
    if (!value.is_string()) fail(place, "a string", value);
    return value.get<std::string>();
  }

  [[nodiscard]] bool flag(const char* key) const {
    const Json& value = at(key);
    if (!value.is_boolean()) fail(key, "true or false");
    return value.get<bool>();
  }

  [[nodiscard]] std::int64_t count(const char* key) const { return count(at(key), path(key)); }

  [[nodiscard]] std::int64_t count(const Json& value, const std::string& place) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > static_cast<std::uint64_t>(kMostCount)) {
      fail(place, fmt::format("a whole number of 0 to {}", kMostCount), value);
    }
    return value.get<std::int64_t>();
  }

  [[nodiscard]] double number(const char* key) const {
    if (at(key).is_null()) return std::numeric_limits<double>::quiet_NaN();
    return *optional_number(key);
  }

  [[nodiscard]] std::optional<double> optional_number(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number()) fail(key, "a number or null");
    return value->get<double>();
  }

  [[nodiscard]] std::optional<Fields> optional_object(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    return Fields(*value, path(key), source_);
  }

  [[nodiscard]] Fields object(const char* key) const { return {at(key), path(key), source_}; }

  // A member of an object whose keys are not ours.
  [[nodiscard]] Fields member(const std::string& key, const Json& value) const {
    return {value, fmt::format("{}[{}]", where_, quote_for_message(key)), source_};
  }

  template <class Visit>
  void each(const char* key, Visit&& visit) const {
    const Json& list = at(key);
    if (!list.is_array()) fail(key, "a list");
    for (std::size_t i = 0; i < list.size(); ++i) visit(list[i], fmt::format("{}[{}]", path(key), i));
  }

  [[noreturn]] void fail(const char* key, std::string_view wanted) const { fail(path(key), wanted, at(key)); }

  [[noreturn]] void fail(std::string_view place, std::string_view wanted, const Json& found) const {
    throw InputError(fmt::format("{}: {} is {}; {} is expected", source_, place, shown(found), wanted));
  }

  [[nodiscard]] std::string path(std::string_view key) const {
    return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
  }

 private:
  const Json* object_;
  std::string where_;
  std::string_view source_;
};

LocalError read_local(const Fields& fields) {
  LocalError error;
  error.relative_error = fields.number("relative_error");
  error.sqnr_db = fields.number("sqnr_db");
  // No error at all: the one number of a good report that JSON cannot hold.
  if (error.relative_error == 0 && fields.find("sqnr_db") == nullptr) {
    error.sqnr_db = std::numeric_limits<double>::infinity();
  }
  error.cosine = fields.number("cosine");
  error.picture_relative_error = fields.optional_number("picture_relative_error");
  error.text_relative_error = fields.optional_number("text_relative_error");
  return error;
}

OutputError read_output(const Fields& fields) {
  OutputError error;
  error.mse = fields.number("mse");
  error.kl = fields.optional_number("kl");
  error.kl_stderr = fields.optional_number("kl_stderr");
  error.kl_median = fields.optional_number("kl_median");
  error.kl_p99 = fields.optional_number("kl_p99");
  error.top1 = fields.optional_number("top1");
  error.exact = fields.optional_number("exact");
  if (const std::optional<Fields> others = fields.optional_object("others")) {
    for (auto member = others->json().begin(); member != others->json().end(); ++member) {
      if (!member->is_number() && !member->is_null())
        others->fail(others->path(quote_for_message(member.key())), "a number or null", *member);
      error.others.emplace_back(member.key(),
                                member->is_null() ? std::nullopt : std::optional(member->get<double>()));
    }
  }
  return error;
}

Estimate read_estimate(const Fields& fields) { return {fields.number("mse"), fields.optional_number("kl")}; }

template <class Read>
auto read_optional(const Fields& fields, const char* key, Read&& read)
    -> std::optional<decltype(read(fields))> {
  if (const std::optional<Fields> object = fields.optional_object(key)) return read(*object);
  return std::nullopt;
}

FormatResult read_format(const Fields& fields, const std::string& format) {
  FormatResult result;
  result.format = format;
  result.local = read_optional(fields, "local", read_local);
  result.in = read_optional(fields, "in", read_output);
  result.out = read_optional(fields, "out", read_output);
  if (fields.find("method") != nullptr) {
    result.method = fields.text("method");
    if (result.method != "exact" && result.method != "fast") {
      fields.fail("method", R"("exact", "fast" or null)");
    }
  }
  result.weight_mse = fields.number("weight_mse");
  result.fast_in = read_optional(fields, "fast_in", read_estimate);
  result.fast_out = read_optional(fields, "fast_out", read_estimate);
  result.score = fields.optional_number("score");
  return result;
}

// The list "formats": JSON objects have no order of their own.
class FormatList {
 public:
  explicit FormatList(const Fields& top) {
    top.each("formats", [&](const Json& entry, const std::string& where) {
      if (!entry.is_string()) top.fail(where, "a string", entry);
      if (!place_.emplace(entry.get<std::string>(), place_.size()).second) {
        top.fail(where, "each format once", entry);
      }
    });
  }

  // Calls visit(format, fields or null) for the members of an object keyed by format, in the list's order.
  template <class Visit>
  void each(const Fields& object, Visit&& visit) const {
    std::vector<std::pair<std::size_t, Json::const_iterator>> members;
    for (auto member = object.json().begin(); member != object.json().end(); ++member) {
      const auto found = place_.find(member.key());
      if (found == place_.end()) {
        object.fail(object.path(quote_for_message(member.key())), "a format of the list \"formats\"",
                    *member);
      }
      members.emplace_back(found->second, member);
    }
    std::ranges::sort(members, {}, [](const auto& member) { return member.first; });
    for (const auto& [place, member] : members) {
      if (member->is_null()) {
        visit(member.key(), std::optional<Fields>());
      } else {
        visit(member.key(), std::optional<Fields>(object.member(member.key(), *member)));
      }
    }
  }

 private:
  std::unordered_map<std::string, std::size_t> place_;
};

UnitResult read_unit(const Fields& fields, const FormatList& formats) {
  UnitResult unit;
  unit.name = fields.text("name");
  unit.op = fields.text("op");
  unit.weight = fields.text("weight");
  std::vector<std::int64_t> shape;
  fields.each("shape", [&](const Json& entry, const std::string& where) {
    shape.push_back(fields.count(entry, where));
  });
  if (shape.size() != 2) fields.fail("shape", "a list of 2 whole numbers");
  unit.depth = shape[0];
  unit.rows = shape[1];
  unit.parameters = fields.count("parameters");
  unit.part = fields.text("part");
  unit.block = fields.count("block");
  unit.layer = fields.text("layer");
  unit.kind = fields.text("kind");
  if (fields.find("unseen") != nullptr) unit.unseen = fields.flag("unseen");
  if (fields.find("in_body") != nullptr) unit.in_body = fields.flag("in_body");
  const Fields results = fields.object("formats");
  formats.each(results, [&](const std::string& format, const std::optional<Fields>& result) {
    if (!result) results.fail(results.path(quote_for_message(format)), "an object", nullptr);
    unit.formats.push_back(read_format(*result, format));
  });
  return unit;
}

BodyUnits read_bodies(const Fields& fields) {
  BodyUnits bodies;
  bodies.op = fields.text("bodies_of");
  fields.each("units", [&](const Json& entry, const std::string& where) {
    bodies.names.push_back(fields.text(entry, where));
  });
  bodies.parameters = fields.count("parameters");
  bodies.share = fields.number("share");
  return bodies;
}

void read_correlations(const Fields& directions, const std::string& format,
                       std::vector<Correlation>& correlations) {
  for (const char* direction : {"in", "out"}) {
    const std::optional<Fields> measures = directions.optional_object(direction);
    if (!measures) continue;
    for (const char* measure : {"kl", "mse"}) {
      const std::optional<Fields> fields = measures->optional_object(measure);
      if (!fields) continue;
      correlations.push_back(
          {format, direction, measure, fields->number("spearman"), fields->count("units")});
    }
  }
}

void read_trust(const Fields& directions, const std::string& format, std::vector<EstimateTrust>& trusts) {
  for (const char* direction : {"in", "out"}) {
    const std::optional<Fields> fields = directions.optional_object(direction);
    if (!fields) continue;
    EstimateTrust trust;
    trust.format = format;
    trust.direction = direction;
    trust.checked = fields->count("checked");
    trust.spearman = fields->optional_number("spearman");
    trust.spearman_error = fields->number("spearman_error");
    trust.measured = fields->count("measured");
    trust.top = fields->count("top");
    if (fields->find("top_found") != nullptr) trust.top_found = fields->count("top_found");
    trust.settled = fields->flag("settled");
    trusts.push_back(std::move(trust));
  }
}

PlanPoint read_point(const Fields& fields, const char* error) {
  return {static_cast<std::uint64_t>(fields.count("bytes")), fields.number("bits"), fields.number(error)};
}

PlanFront read_front(const Fields& fields, std::string_view source) {
  PlanFront front;
  front.unquantized_bytes = static_cast<std::uint64_t>(fields.count("unquantized_bytes"));
  fields.each("points", [&](const Json& entry, const std::string& where) {
    const Fields fields_of_point(entry, where, source);
    const PlanPoint point = read_point(fields_of_point, "error");
    // Comparisons with NaN are false: an error that is null has no place in the order.
    if (!front.points.empty() && point.bytes < front.points.back().bytes) {
      fields_of_point.fail("bytes", "not less than at the point before");
    }
    if (!front.points.empty() && point.error > front.points.back().error) {
      fields_of_point.fail("error", "not more than at the point before");
    }
    front.points.push_back(point);
  });
  fields.each("marks", [&](const Json& entry, const std::string& where) {
    const Fields mark(entry, where, source);
    front.marks.push_back(
        {mark.text("name"), read_point(mark, "predicted"), mark.optional_number("measured")});
  });
  return front;
}

// The order in which the members of "settings" stand in the text. The library's objects that keep it search
// their members one by one, which a hostile file could make use of.
std::vector<std::string> settings_order(std::string_view json) {
  std::vector<std::string> keys;
  std::unordered_set<std::string> seen;
  bool in_settings = false;
  const auto visit = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::key && depth == 1) in_settings = parsed == "settings";
    if (event == Json::parse_event_t::key && depth == 2 && in_settings) {
      std::string key = parsed.get<std::string>();
      if (seen.insert(key).second) keys.push_back(std::move(key));
    }
    return false;  // nothing is kept
  };
  [[maybe_unused]] const Json nothing = Json::parse(json.begin(), json.end(), visit);
  return keys;
}

SensitivityReport read_top(const Fields& top, std::string_view json) {
  SensitivityReport report;
  report.model = top.text("model");
  report.model_sha256 = top.text("model_sha256");
  report.data = top.text("data");
  report.data_sha256 = top.text("data_sha256");
  report.samples = top.count("samples");
  report.positions = top.count("positions");
  const Fields settings = top.object("settings");
  for (const std::string& key : settings_order(json)) {
    const auto found = settings.json().find(key);
    if (found == settings.json().end()) continue;
    report.settings.emplace_back(key, settings.text(*found, settings.path(quote_for_message(key))));
  }
  const std::optional<Criterion> criterion = criterion_from_name(top.text("criterion"));
  if (!criterion) top.fail("criterion", "kl, mse, nncf_mean_variance, weight_mse or random");
  report.criterion = *criterion;
  report.has_logits = top.flag("has_logits");
  if (top.find("output") != nullptr) report.output = top.text("output");
  report.exact_unquantized = top.optional_number("exact_unquantized");
  report.output_mean_square = top.optional_number("output_mean_square");
  return report;
}

}  // namespace

SensitivityReport parse_report(std::string_view text, std::string_view source) {
  const Json json = parse_json(text, source);
  const Fields top(json, "", source);
  SensitivityReport report = read_top(top, text);
  const FormatList formats(top);
  top.each("units", [&](const Json& entry, const std::string& where) {
    report.units.push_back(read_unit(Fields(entry, where, source), formats));
  });
  if (top.find("not_measured") != nullptr) {
    top.each("not_measured", [&](const Json& entry, const std::string& where) {
      report.unmeasured.push_back(read_bodies(Fields(entry, where, source)));
    });
  }
  formats.each(top.object("whole"), [&](const std::string& format, const std::optional<Fields>& error) {
    report.whole.push_back({format, error ? std::optional(read_output(*error)) : std::nullopt});
    if (error && error->find("answers_lost") != nullptr)
      report.whole.back().answers_lost = error->count("answers_lost");
  });
  formats.each(top.object("correlation"),
               [&](const std::string& format, const std::optional<Fields>& fields) {
                 if (fields) read_correlations(*fields, format, report.correlations);
               });
  if (const std::optional<Fields> trust = top.optional_object("trust")) {
    formats.each(*trust, [&](const std::string& format, const std::optional<Fields>& fields) {
      if (fields) read_trust(*fields, format, report.trust);
    });
  }
  if (const std::optional<Fields> front = top.optional_object("front")) {
    report.front = read_front(*front, source);
  }
  return report;
}

SensitivityReport read_report(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path file = std::filesystem::is_directory(path, error) ? path / "report.json" : path;
  if (!std::filesystem::is_regular_file(file, error)) {
    throw InputError(fmt::format("{} is not there; a report.json written by `qvl sensitivity` is expected",
                                 file.string()));
  }
  return parse_report(read_text_file(file), file.string());
}

}  // namespace qvl
