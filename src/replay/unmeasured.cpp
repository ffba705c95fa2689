#include "replay/unmeasured.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace qvl {

std::vector<BodyUnits> units_of_bodies(const ModelGraph& graph, const std::vector<Unit>& units) {
  std::vector<BodyUnits> bodies;
  std::unordered_set<std::string> counted;
  std::int64_t all = 0;
  for (const Unit& unit : units) {
    if (counted.insert(unit.weight).second) all += static_cast<std::int64_t>(unit.layout.elements());
  }
  for (const BodyUnit& unit : graph.body_units()) {
    auto own = std::ranges::find(bodies, unit.control, &BodyUnits::op);
    if (own == bodies.end()) own = bodies.insert(bodies.end(), BodyUnits{unit.control, {}, 0, 0});
    own->names.push_back(unit.name);
    if (!counted.insert(unit.weight).second) continue;
    own->parameters += unit.parameters;
    all += unit.parameters;
  }
  for (BodyUnits& body : bodies)
    body.share = all > 0 ? static_cast<double>(body.parameters) / static_cast<double>(all) : 0;
  return bodies;
}

std::string to_text(const BodyUnits& units, const std::string& fate) {
  const bool one = units.names.size() == 1;
  return fmt::format("{} unit{}, {:.3g} % of the weights, {} in bodies of {}: {}", units.names.size(),
                     one ? "" : "s", 100 * units.share, one ? "lies" : "lie", units.op, fate);
}

std::vector<std::string> unseen_units(const SensitivityReport& report) {
  std::vector<std::string> names;
  for (const UnitResult& unit : report.units) {
    if (unit.unseen) names.push_back(unit.name);
  }
  return names;
}

std::string unseen_text(const std::vector<std::string>& units, const std::string& output) {
  constexpr std::size_t kMostNamed = 3;
  if (units.empty()) return "";
  const std::size_t named = std::min(units.size(), kMostNamed);
  return fmt::format(
      "{} unit{} ({}{}) do{} not reach the output {}, by whose error units are ordered; `qvl sensitivity "
      "--output` "
      "measures by another",
      units.size(), units.size() == 1 ? "" : "s",
      fmt::join(std::vector<std::string>(units.begin(), units.begin() + static_cast<std::ptrdiff_t>(named)),
                ", "),
      units.size() > named ? ", …" : "", units.size() == 1 ? "es" : "", output);
}

std::string in_body_text(const SensitivityReport& report) {
  const auto count = std::ranges::count_if(report.units, &UnitResult::in_body);
  if (count == 0) return "";
  return fmt::format("{} unit{} in branches that all samples take: measured, but never quantized", count,
                     count == 1 ? " lies" : "s lie");
}

}  // namespace qvl
