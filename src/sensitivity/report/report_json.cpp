// report.json; report_reader.cpp reads it.
#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <utility>

#include "sensitivity/report/report_files.h"
#include "sensitivity/report/report_names.h"
#include "sensitivity/report/report_verdict.h"

namespace qvl {
namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return value == 0 ? 0.0 : value;  // no "-0", which would not be read as a double
}

OrderedJson number(const std::optional<double>& value) {
  return value ? number(*value) : OrderedJson(nullptr);
}

OrderedJson text_or_null(const std::string& text) {
  return text.empty() ? OrderedJson(nullptr) : OrderedJson(text);
}

OrderedJson local_json(const std::optional<LocalError>& error) {
  if (!error) return nullptr;
  return {{"relative_error", number(error->relative_error)},
          {"sqnr_db", number(error->sqnr_db)},
          {"cosine", number(error->cosine)},
          {"picture_relative_error", number(error->picture_relative_error)},
          {"text_relative_error", number(error->text_relative_error)}};
}

OrderedJson output_json(const std::optional<OutputError>& error) {
  if (!error) return nullptr;
  OrderedJson json{{"mse", number(error->mse)},
                   {"kl", number(error->kl)},
                   {"kl_stderr", number(error->kl_stderr)},
                   {"top1", number(error->top1)},
                   {"kl_median", number(error->kl_median)},
                   {"kl_p99", number(error->kl_p99)},
                   {"exact", number(error->exact)}};
  for (const auto& [name, mse] : error->others) json["others"][name] = number(mse);
  return json;
}

OrderedJson whole_json(const WholeResult& whole) {
  OrderedJson json = output_json(whole.all);
  if (whole.all && whole.answers_lost) json["answers_lost"] = *whole.answers_lost;
  return json;
}

OrderedJson estimate_json(const std::optional<Estimate>& estimate) {
  if (!estimate) return nullptr;
  return {{"mse", number(estimate->mse)}, {"kl", number(estimate->kl)}};
}

OrderedJson format_json(const FormatResult& result) {
  return {{"local", local_json(result.local)},
          {"in", output_json(result.in)},
          {"out", output_json(result.out)},
          {"method", text_or_null(result.method)},
          {"weight_mse", number(result.weight_mse)},
          {"fast_in", estimate_json(result.fast_in)},
          {"fast_out", estimate_json(result.fast_out)},
          {"score", number(result.score)}};
}

// Objects keyed by format have the order of the list "formats", from which the reader takes it.
class FormatOrder {
 public:
  explicit FormatOrder(const std::vector<std::string>& formats) {
    for (const std::string& format : formats) place_.emplace(format, place_.size());
  }

  template <class Entries, class ToJson>
  [[nodiscard]] OrderedJson object(const Entries& entries, const ToJson& to_json) const {
    std::map<std::size_t, const typename Entries::value_type*> sorted;
    for (const auto& entry : entries) sorted.emplace(place_.at(entry.format), &entry);
    OrderedJson json = OrderedJson::object();
    for (const auto& [place, entry] : sorted) json[entry->format] = to_json(*entry);
    return json;
  }

 private:
  std::unordered_map<std::string, std::size_t> place_;
};

OrderedJson unit_json(const UnitResult& unit, const FormatOrder& order) {
  OrderedJson json{{"name", unit.name},
                   {"op", unit.op},
                   {"weight", unit.weight},
                   {"shape", {unit.depth, unit.rows}},
                   {"parameters", unit.parameters},
                   {"part", unit.part},
                   {"block", unit.block},
                   {"layer", unit.layer},
                   {"kind", unit.kind},
                   {"formats", order.object(unit.formats, format_json)}};
  if (unit.unseen) json["unseen"] = true;
  if (unit.in_body) json["in_body"] = true;
  return json;
}

OrderedJson unmeasured_json(const std::vector<BodyUnits>& bodies) {
  OrderedJson json = OrderedJson::array();
  for (const BodyUnits& body : bodies) {
    json.push_back({{"bodies_of", body.op},
                    {"units", body.names},
                    {"parameters", body.parameters},
                    {"share", number(body.share)}});
  }
  return json;
}

OrderedJson correlation_json(const SensitivityReport& report, const std::vector<std::string>& formats) {
  std::unordered_map<std::string, OrderedJson> by_format;
  for (const char* direction : {"in", "out"}) {
    for (const char* measure : {"kl", "mse"}) {
      for (const Correlation& c : report.correlations) {
        if (c.direction != direction || c.measure != measure) continue;
        by_format[c.format][direction][measure] = {{"spearman", number(c.spearman)}, {"units", c.units}};
      }
    }
  }
  OrderedJson json = OrderedJson::object();
  for (const std::string& format : formats) {
    if (const auto found = by_format.find(format); found != by_format.end()) json[format] = found->second;
  }
  return json;
}

OrderedJson trust_json(const SensitivityReport& report) {
  OrderedJson json = OrderedJson::object();
  for (const EstimateTrust& trust : report.trust) {
    OrderedJson top_found = nullptr;
    if (trust.top_found) top_found = *trust.top_found;
    json[trust.format][trust.direction] = {
        {"words", trust_words(trust)},        {"checked", trust.checked},
        {"spearman", number(trust.spearman)}, {"spearman_error", number(trust.spearman_error)},
        {"measured", trust.measured},         {"top", trust.top},
        {"top_found", std::move(top_found)},  {"settled", trust.settled}};
  }
  return json;
}

OrderedJson verdict_json(const SensitivityReport& report) {
  OrderedJson json = OrderedJson::object();
  for (const WholeResult& whole : report.whole) {
    const std::string words = verdict_words(report, whole);
    if (!words.empty()) json[whole.format] = words;
  }
  return json;
}

OrderedJson next_json(const SensitivityReport& report) {
  OrderedJson json = OrderedJson::array();
  for (const NextStep& step : next_steps(report, {}))
    json.push_back({{"what", step.what}, {"command", step.command}});
  return json;
}

OrderedJson front_json(const PlanFront& front) {
  OrderedJson points = OrderedJson::array();
  for (const PlanPoint& point : front.points) {
    points.push_back({{"bytes", point.bytes}, {"bits", number(point.bits)}, {"error", number(point.error)}});
  }
  OrderedJson marks = OrderedJson::array();
  for (const PlanMark& mark : front.marks) {
    marks.push_back({{"name", mark.name},
                     {"bytes", mark.point.bytes},
                     {"bits", number(mark.point.bits)},
                     {"predicted", number(mark.point.error)},
                     {"measured", number(mark.measured)}});
  }
  OrderedJson json = OrderedJson::object();
  json["unquantized_bytes"] = front.unquantized_bytes;
  json["points"] = std::move(points);
  json["marks"] = std::move(marks);
  return json;
}

OrderedJson settings_json(const SensitivityReport& report) {
  OrderedJson json = OrderedJson::object();
  for (const auto& [key, value] : report.settings) json[key] = value;
  return json;
}

// The library's own writer does not always find the shortest text of a double; fmt does.
void append(std::string& out, const OrderedJson& json) {
  if (json.is_number_float()) {
    fmt::format_to(std::back_inserter(out), "{}", json.get<double>());
  } else if (json.is_object() || json.is_array()) {
    out += json.is_object() ? '{' : '[';
    const std::size_t start = out.size();
    for (const auto& [key, value] : json.items()) {
      if (out.size() > start) out += ',';
      if (json.is_object()) {
        append(out, OrderedJson(key));
        out += ':';
      }
      append(out, value);
    }
    out += json.is_object() ? '}' : ']';
  } else {
    out += json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  }
}

void append_line(std::string& out, const char* key, const OrderedJson& value) {
  out += fmt::format("{}\"{}\": ", out.empty() ? "{\n" : ",\n", key);
  append(out, value);
}

}  // namespace

std::string report_json(const SensitivityReport& report) {
  const std::vector<std::string> formats = formats_of(report);
  const FormatOrder order(formats);
  std::string out;
  append_line(out, "model", report.model);
  append_line(out, "model_sha256", report.model_sha256);
  append_line(out, "data", report.data);
  append_line(out, "data_sha256", report.data_sha256);
  append_line(out, "samples", report.samples);
  append_line(out, "positions", report.positions);
  append_line(out, "settings", settings_json(report));
  append_line(out, "criterion", criterion_name(report.criterion));
  append_line(out, "has_logits", report.has_logits);
  if (!report.output.empty()) append_line(out, "output", report.output);
  append_line(out, "exact_unquantized", number(report.exact_unquantized));
  append_line(out, "output_mean_square", number(report.output_mean_square));
  append_line(out, "formats", formats);
  out += ",\n\"units\": [";
  for (const UnitResult& unit : report.units) {
    out += out.ends_with('[') ? "\n" : ",\n";
    append(out, unit_json(unit, order));
  }
  out += report.units.empty() ? "]" : "\n]";
  if (!report.unmeasured.empty()) append_line(out, "not_measured", unmeasured_json(report.unmeasured));
  append_line(out, "whole", order.object(report.whole, whole_json));
  append_line(out, "correlation", correlation_json(report, formats));
  append_line(out, "trust", trust_json(report));
  append_line(out, "verdict", verdict_json(report));
  append_line(out, "next", next_json(report));
  // Left out where there is none: reports keep the bytes that they had before there were plans.
  if (report.front) append_line(out, "front", front_json(*report.front));
  return out + "\n}\n";
}

}  // namespace qvl
