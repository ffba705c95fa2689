#include "sensitivity/run_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/json_text.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::array<std::pair<Method, const char*>, 3> kMethods{
    {{Method::exact, "exact"}, {Method::fast, "fast"}, {Method::automatic, "auto"}}};
constexpr std::array<std::pair<Criterion, const char*>, 5> kCriteria{
    {{Criterion::kl, "kl"},
     {Criterion::mse, "mse"},
     {Criterion::nncf_mean_variance, "nncf-mean-variance"},
     {Criterion::weight_mse, "weight-mse"},
     {Criterion::random, "random"}}};

template <class Table, class Value>
std::string name_in(const Table& table, Value value) {
  for (const auto& [known, text] : table) {
    if (known == value) return text;
  }
  return {};
}

template <class Table>
auto value_in(const Table& table, std::string_view text, const char* what) {
  std::string names;
  for (const auto& [known, name] : table) {
    if (text == name) return known;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  throw UsageError(fmt::format("{} \"{}\"; there are: {}", what, text, names));
}

}  // namespace

std::string to_string(Method method) { return name_in(kMethods, method); }
std::string to_string(Criterion criterion) { return name_in(kCriteria, criterion); }
Method parse_method(std::string_view text) { return value_in(kMethods, text, "method"); }
std::optional<Criterion> find_criterion(std::string_view text) {
  const auto found = std::ranges::find(kCriteria, text, [](const auto& entry) { return entry.second; });
  return found == kCriteria.end() ? std::nullopt : std::optional(found->first);
}
Criterion parse_criterion(std::string_view text) { return value_in(kCriteria, text, "criterion"); }

std::string RunSettings::to_json() const {
  Json json;
  json["formats"] = formats;
  json["samples"] = samples;
  for (const Part& part : parts) json["parts"].push_back({part.name, part.segments});
  json["method"] = to_string(method);
  json["in"] = direction_in;
  json["out"] = direction_out;
  json["criterion"] = to_string(criterion);
  json["calibration"] = calibration;
  json["unit_set"] = unit_set;
  json["fused_attention"] = fused_attention;
  json["output"] = output;
  json["others"] = others;
  json["outputs_context"] = outputs_context;
  json["skeleton"] = skeleton;
  return json.dump();
}

RunSettings RunSettings::parse(std::string_view text, std::string_view source) {
  const Json json = parse_json(text, source);
  try {
    RunSettings s;
    json.at("formats").get_to(s.formats);
    json.at("samples").get_to(s.samples);
    for (const Json& part : json.at("parts"))
      s.parts.push_back({part.at(0).get<std::string>(), part.at(1).get<std::int64_t>()});
    s.method = parse_method(json.at("method").get<std::string>());
    json.at("in").get_to(s.direction_in);
    json.at("out").get_to(s.direction_out);
    s.criterion = parse_criterion(json.at("criterion").get<std::string>());
    json.at("calibration").get_to(s.calibration);
    json.at("unit_set").get_to(s.unit_set);
    json.at("fused_attention").get_to(s.fused_attention);
    s.output = json.value("output", "");
    s.others = json.value("others", std::vector<std::string>{});
    s.outputs_context = json.value("outputs_context", "");
    json.at("skeleton").get_to(s.skeleton);
    return s;
  } catch (const UsageError& error) {  // a method or criterion that there is not
    throw InputError(fmt::format("{}: the settings of the run are broken: {}", source, error.what()));
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("{}: the settings of the run are broken: {}", source, error.what()));
  }
}

}  // namespace qvl
