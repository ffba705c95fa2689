#include "planner/plan_problem.h"

#include <algorithm>
#include <span>

#include "core/sha256.h"

namespace qvl {

PlanProblem::PlanProblem(std::vector<UnitGroup> groups, const std::vector<Format>& formats,
                         const std::vector<std::vector<double>>& errors, KernelTimes* times)
    : groups_(std::move(groups)), formats_(formats) {
  for (const UnitGroup& group : groups_) {
    KnapsackGroup choices(formats_.size() + 1);
    for (const PlanUnit& unit : group) {
      parameters_ += unit.parameters();
      for (std::size_t c = 0; c < choices.size(); ++c) {
        const std::optional<Format> format = c == 0 ? std::nullopt : std::optional(formats_[c - 1]);
        choices[c].bytes += unit.bytes(format);
        if (c > 0) choices[c].error += errors[unit.row][c - 1];
        if (times != nullptr) choices[c].latency_ms += times->of(unit.weight, format);
      }
    }
    knapsack_.push_back(std::move(choices));
  }
}

std::uint64_t PlanProblem::unquantized_bytes() const {
  std::uint64_t bytes = 0;
  for (const KnapsackGroup& group : knapsack_) bytes += group.front().bytes;
  return bytes;
}

double PlanProblem::bits(std::uint64_t bytes) const {
  return parameters_ == 0 ? 0 : static_cast<double>(bytes) * 8 / static_cast<double>(parameters_);
}

Assignment PlanProblem::assignment(const PlanChoices& choices, std::size_t units) const {
  Assignment assignment(units);
  for (std::size_t g = 0; g < choices.size(); ++g) {
    for (const PlanUnit& unit : groups_[g]) assignment.set(unit.unit, format(choices[g]));
  }
  return assignment;
}

std::string PlanProblem::key(const PlanChoices& choices, const Program& program,
                             const std::string& calibration) const {
  std::vector<std::string> lines;
  bool fixed = false;
  for (std::size_t g = 0; g < choices.size(); ++g) {
    const Format* const chosen = format(choices[g]);
    if (chosen == nullptr) continue;
    fixed = fixed || chosen->activations == ActivationRounding::static_u8;
    for (const PlanUnit& unit : groups_[g])
      lines.push_back(program.unit(unit.unit).name + "\t" + to_string(*chosen) + "\n");
  }
  std::ranges::sort(lines);
  if (fixed) lines.push_back("calibration " + calibration + "\n");
  Sha256 hash;
  for (const std::string& line : lines) hash.update(std::as_bytes(std::span(line)));
  return hash.hex();
}

}  // namespace qvl
