// A model's units and formats as a knapsack.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "planner/kernel_times.h"
#include "planner/knapsack.h"
#include "planner/plan_units.h"
#include "qvl/plan.h"
#include "replay/model_part.h"

namespace qvl {

// One choice for each group of units: 0 keeps it, c > 0 is format c - 1.
using PlanChoices = std::vector<std::size_t>;

class PlanProblem {
 public:
  // `errors` by row of the report and format. `times` null: latencies are 0. `formats` must outlive it.
  PlanProblem(std::vector<UnitGroup> groups, const std::vector<Format>& formats,
              const std::vector<std::vector<double>>& errors, KernelTimes* times);

  [[nodiscard]] const std::vector<UnitGroup>& groups() const noexcept { return groups_; }
  // By group; of all formats, in the order of PlanChoices.
  [[nodiscard]] const std::vector<KnapsackGroup>& knapsack() const noexcept { return knapsack_; }
  [[nodiscard]] std::uint64_t parameters() const noexcept { return parameters_; }
  [[nodiscard]] std::uint64_t unquantized_bytes() const;
  [[nodiscard]] double bits(std::uint64_t bytes) const;
  [[nodiscard]] const Format* format(std::size_t choice) const {
    return choice == 0 ? nullptr : &formats_[choice - 1];
  }
  // For a program of so many units.
  [[nodiscard]] Assignment assignment(const PlanChoices& choices, std::size_t units) const;
  // Tells the choices from others, by the names of their units and formats.
  [[nodiscard]] std::string key(const PlanChoices& choices, const Program& program,
                                const std::string& calibration) const;

 private:
  std::vector<UnitGroup> groups_;
  const std::vector<Format>& formats_;
  std::vector<KnapsackGroup> knapsack_;
  std::uint64_t parameters_ = 0;
};

}  // namespace qvl
