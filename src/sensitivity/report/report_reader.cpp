#include "sensitivity/report/report_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/json_fields.h"
#include "core/json_text.h"
#include "core/message_quote.h"
#include "core/text_file.h"
#include "qvl/error.h"
#include "sensitivity/report/report_names.h"

namespace qvl {
namespace {

// Exact as a double too, and sums of them stay far from the end of 64 bits.
constexpr std::uint64_t kMostCount = std::uint64_t{1} << 53U;

std::int64_t count(const JsonFields& fields, std::string_view key) {
  return static_cast<std::int64_t>(fields.count(key, kMostCount));
}

LocalError read_local(const JsonFields& fields) {
  LocalError error;
  error.relative_error = fields.number("relative_error");
  error.sqnr_db = fields.number("sqnr_db");
  // No error at all: the one number of a good report that JSON cannot hold.
  if (error.relative_error == 0 && !fields.has("sqnr_db")) {
    error.sqnr_db = std::numeric_limits<double>::infinity();
  }
  error.cosine = fields.number("cosine");
  error.picture_relative_error = fields.optional_number("picture_relative_error");
  error.text_relative_error = fields.optional_number("text_relative_error");
  return error;
}

OutputError read_output(const JsonFields& fields) {
  OutputError error;
  error.mse = fields.number("mse");
  error.kl = fields.optional_number("kl");
  error.kl_stderr = fields.optional_number("kl_stderr");
  error.kl_median = fields.optional_number("kl_median");
  error.kl_p99 = fields.optional_number("kl_p99");
  error.top1 = fields.optional_number("top1");
  error.exact = fields.optional_number("exact");
  if (const std::optional<JsonFields> others = fields.optional_object("others")) {
    for (auto member = others->json().begin(); member != others->json().end(); ++member) {
      if (!member->is_number() && !member->is_null())
        others->fail_at(others->path(quote_for_message(member.key())), "a number or null", *member);
      error.others.emplace_back(member.key(),
                                member->is_null() ? std::nullopt : std::optional(member->get<double>()));
    }
  }
  return error;
}

Estimate read_estimate(const JsonFields& fields) {
  return {fields.number("mse"), fields.optional_number("kl")};
}

template <class Read>
auto read_optional(const JsonFields& fields, const char* key, Read&& read)
    -> std::optional<decltype(read(fields))> {
  if (const std::optional<JsonFields> object = fields.optional_object(key)) return read(*object);
  return std::nullopt;
}

FormatResult read_format(const JsonFields& fields, const std::string& format) {
  FormatResult result;
  result.format = format;
  result.local = read_optional(fields, "local", read_local);
  result.in = read_optional(fields, "in", read_output);
  result.out = read_optional(fields, "out", read_output);
  if (fields.has("method")) {
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
  explicit FormatList(const JsonFields& top) {
    top.each("formats", [&](const Json& entry, const std::string& where) {
      if (!place_.emplace(top.text_at(where, entry), place_.size()).second)
        top.fail_at(where, "each format once", entry);
    });
  }

  // Calls visit(format, fields or null) for the members of an object keyed by format, in the list's order.
  template <class Visit>
  void each(const JsonFields& object, Visit&& visit) const {
    std::vector<std::pair<std::size_t, Json::const_iterator>> members;
    for (auto member = object.json().begin(); member != object.json().end(); ++member) {
      const auto found = place_.find(member.key());
      if (found == place_.end()) {
        object.fail_at(object.path(quote_for_message(member.key())), "a format of the list \"formats\"",
                       *member);
      }
      members.emplace_back(found->second, member);
    }
    std::ranges::sort(members, {}, [](const auto& member) { return member.first; });
    for (const auto& [place, member] : members) {
      if (member->is_null()) {
        visit(member.key(), std::optional<JsonFields>());
      } else {
        visit(member.key(), std::optional<JsonFields>(object.member(member.key(), *member)));
      }
    }
  }

 private:
  std::unordered_map<std::string, std::size_t> place_;
};

UnitResult read_unit(const JsonFields& fields, const FormatList& formats) {
  UnitResult unit;
  unit.name = fields.text("name");
  unit.op = fields.text("op");
  unit.weight = fields.text("weight");
  std::vector<std::int64_t> shape;
  fields.each("shape", [&](const Json& entry, const std::string& where) {
    shape.push_back(static_cast<std::int64_t>(fields.count_at(where, entry, kMostCount)));
  });
  if (shape.size() != 2) fields.fail("shape", "a list of 2 whole numbers");
  unit.depth = shape[0];
  unit.rows = shape[1];
  unit.parameters = count(fields, "parameters");
  unit.part = fields.text("part");
  unit.block = count(fields, "block");
  unit.layer = fields.text("layer");
  unit.kind = fields.text("kind");
  if (fields.has("unseen")) unit.unseen = fields.flag("unseen");
  if (fields.has("in_body")) unit.in_body = fields.flag("in_body");
  const JsonFields results = fields.object("formats");
  formats.each(results, [&](const std::string& format, const std::optional<JsonFields>& result) {
    if (!result) results.fail_at(results.path(quote_for_message(format)), "an object", nullptr);
    unit.formats.push_back(read_format(*result, format));
  });
  return unit;
}

BodyUnits read_bodies(const JsonFields& fields) {
  BodyUnits bodies;
  bodies.op = fields.text("bodies_of");
  fields.each("units", [&](const Json& entry, const std::string& where) {
    bodies.names.push_back(fields.text_at(where, entry));
  });
  bodies.parameters = count(fields, "parameters");
  bodies.share = fields.number("share");
  return bodies;
}

void read_correlations(const JsonFields& directions, const std::string& format,
                       std::vector<Correlation>& correlations) {
  for (const char* direction : {"in", "out"}) {
    const std::optional<JsonFields> measures = directions.optional_object(direction);
    if (!measures) continue;
    for (const char* measure : {"kl", "mse"}) {
      const std::optional<JsonFields> fields = measures->optional_object(measure);
      if (!fields) continue;
      correlations.push_back(
          {format, direction, measure, fields->number("spearman"), count(*fields, "units")});
    }
  }
}

void read_trust(const JsonFields& directions, const std::string& format, std::vector<EstimateTrust>& trusts) {
  for (const char* direction : {"in", "out"}) {
    const std::optional<JsonFields> fields = directions.optional_object(direction);
    if (!fields) continue;
    EstimateTrust trust;
    trust.format = format;
    trust.direction = direction;
    trust.checked = count(*fields, "checked");
    trust.spearman = fields->optional_number("spearman");
    trust.spearman_error = fields->number("spearman_error");
    trust.measured = count(*fields, "measured");
    trust.top = count(*fields, "top");
    if (fields->has("top_found")) trust.top_found = count(*fields, "top_found");
    trust.settled = fields->flag("settled");
    trusts.push_back(std::move(trust));
  }
}

PlanPoint read_point(const JsonFields& fields, const char* error) {
  return {fields.count("bytes", kMostCount), fields.number("bits"), fields.number(error)};
}

PlanFront read_front(const JsonFields& fields) {
  PlanFront front;
  front.unquantized_bytes = fields.count("unquantized_bytes", kMostCount);
  fields.each_object("points", [&](const JsonFields& fields_of_point) {
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
  fields.each_object("marks", [&](const JsonFields& mark) {
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

SensitivityReport read_top(const JsonFields& top, std::string_view json) {
  SensitivityReport report;
  report.model = top.text("model");
  report.model_sha256 = top.text("model_sha256");
  report.data = top.text("data");
  report.data_sha256 = top.text("data_sha256");
  report.samples = count(top, "samples");
  report.positions = count(top, "positions");
  const JsonFields settings = top.object("settings");
  for (const std::string& key : settings_order(json)) {
    const auto found = settings.json().find(key);
    if (found == settings.json().end()) continue;
    report.settings.emplace_back(key, settings.text_at(settings.path(quote_for_message(key)), *found));
  }
  const std::optional<Criterion> criterion = criterion_from_name(top.text("criterion"));
  if (!criterion) top.fail("criterion", "kl, mse, nncf_mean_variance, weight_mse or random");
  report.criterion = *criterion;
  report.has_logits = top.flag("has_logits");
  if (top.has("output")) report.output = top.text("output");
  report.exact_unquantized = top.optional_number("exact_unquantized");
  report.output_mean_square = top.optional_number("output_mean_square");
  return report;
}

}  // namespace

SensitivityReport parse_report(std::string_view text, std::string_view source) {
  const Json json = parse_json(text, source);
  JsonProblems problems(source, JsonErrors::first);
  const JsonFields top(json, problems);
  SensitivityReport report = read_top(top, text);
  const FormatList formats(top);
  top.each_object("units",
                  [&](const JsonFields& fields) { report.units.push_back(read_unit(fields, formats)); });
  if (top.has("not_measured")) {
    top.each_object("not_measured",
                    [&](const JsonFields& fields) { report.unmeasured.push_back(read_bodies(fields)); });
  }
  formats.each(top.object("whole"), [&](const std::string& format, const std::optional<JsonFields>& error) {
    report.whole.push_back({format, error ? std::optional(read_output(*error)) : std::nullopt});
    if (error && error->has("answers_lost")) report.whole.back().answers_lost = count(*error, "answers_lost");
  });
  formats.each(top.object("correlation"),
               [&](const std::string& format, const std::optional<JsonFields>& fields) {
                 if (fields) read_correlations(*fields, format, report.correlations);
               });
  if (const std::optional<JsonFields> trust = top.optional_object("trust")) {
    formats.each(*trust, [&](const std::string& format, const std::optional<JsonFields>& fields) {
      if (fields) read_trust(*fields, format, report.trust);
    });
  }
  if (const std::optional<JsonFields> front = top.optional_object("front")) {
    report.front = read_front(*front);
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
