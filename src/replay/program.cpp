#include "replay/program.h"

#include <fmt/format.h>

#include <unordered_set>

#include "qvl/error.h"

namespace qvl {

const std::string& ModelPart::output() const {
  if (compared.metric.empty()) {
    throw InputError(
        fmt::format("{} has no output to compare: a floating-point one that depends on a unit is "
                    "expected; there are: {}",
                    graph.path().string(), describe_outputs(graph, units)));
  }
  return compared.metric;
}

std::size_t Program::unit_count() const { return parts.back()->first_unit + parts.back()->units.size(); }

const ModelPart& Program::part_of(std::size_t unit) const {
  for (std::size_t p = parts.size(); p-- > 1;) {
    if (unit >= parts[p]->first_unit) return *parts[p];
  }
  return *parts.front();
}

const Unit& Program::unit(std::size_t index) const {
  const ModelPart& part = part_of(index);
  return part.units[index - part.first_unit];
}

void Program::number_units() {
  std::unordered_set<std::string> names;
  std::size_t first = 0;
  for (const auto& part : parts) {
    part->first_unit = first;
    first += part->units.size();
    for (const Unit& unit : part->units) {
      if (names.insert(unit.name).second) continue;
      throw InputError(fmt::format("{}: another model of the folder has a unit {} too",
                                   part->graph.path().string(), unit.name));
    }
  }
}

}  // namespace qvl
