// From measured sensitivities to a mixed-precision plan.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "qvl/error.h"
#include "qvl/input.h"
#include "qvl/progress.h"
#include "qvl/sensitivity.h"

namespace qvl {

// What a plan must keep. Of bytes, bits and kl exactly one is given, of which the error (bytes, bits) or the
// size (kl) is made as small as can be; latency may be given besides.
struct PlanBudget {
  std::optional<std::uint64_t> bytes;  // of the units' weights, with their scales
  std::optional<double> bits;          // the same in bits a weight, on average over all units
  std::optional<double> kl;            // nats, measured; of models without logits: mse
  std::optional<double> latency_ms;    // of the units' kernels, on this machine
};

struct PlanOptions {
  std::filesystem::path report;  // folder of a run of measure_sensitivity, with its measurements.sqlite
  std::filesystem::path model;   // empty: where the run found it
  std::filesystem::path data;    // empty: where the run found it
  std::filesystem::path out;     // plan.json to write; empty: none
  PlanBudget budget;
  std::vector<std::string> formats;  // of those that were measured; empty: all
  std::int64_t latency_rows = 640;   // rows of activations for which kernels are timed
  std::string output;                // empty, or that by which the run was measured
  int rounds = 3;                    // most rounds of repair; 0: the first plan is measured and kept
  bool measure = true;               // false: the additive model is believed
  std::uint64_t memory_bytes = 0;    // as in SensitivityOptions
  int threads = 0;
  std::function<void(const SensitivityProgress&)> on_progress;  // may be empty; one call at a time
  const CancelToken* cancel = nullptr;                          // may be null; must outlive the call
  InputOptions input = {};
};

struct PlanRound {
  std::string change;  // what was done: "first plan", "units re-weighted by …"
  std::uint64_t bytes = 0;
  double predicted = 0;
  std::optional<double> measured;  // end to end
  int changed = 0;                 // units with another format than in the round before
};

// The units in one format.
struct PlanShare {
  std::string format;  // or "keep"
  int units = 0;
  std::uint64_t bytes = 0;
  double error = 0;  // predicted
};

struct PlanResult {
  std::string plan_json;
  std::uint64_t bytes = 0;
  double bits = 0;
  std::optional<double> latency_ms;
  double predicted = 0;  // sum of the units' errors; of a baseline criterion, of their scores
  std::optional<double> measured;
  std::optional<double> measured_stderr;
  // What a better choice for the same budget could win at most, of the bytes (kl) or of the predicted error;
  // 0: none is better, which is proven.
  double gap = 0;
  int quantized_units = 0;        // 0: everything stays as it is
  std::vector<PlanShare> shares;  // "keep" first, then in the order of the run's formats
  std::vector<PlanRound> rounds;
  std::vector<BodyUnits> unmeasured;  // left as they are
  // Quantized without regard to what they do: the output that the run was measured by does not depend on
  // them.
  std::vector<std::string> unseen;
  std::string output;  // that one
  PlanFront front;
};

// Chooses a format for every unit of the report (or none), measures the result end to end beside plans of one
// format that keep the budget, takes the best, repairs it where the sum of the units' errors was wrong, and
// writes plan.json and the reports with the curve. Throws UsageError for budgets that do not go together,
// InputError for a folder that holds no complete run and for a model or data that is not that of the run, and
// for a budget that nothing meets (saying the nearest that can be met), Interrupted when cancelled.
[[nodiscard]] QVL_API PlanResult make_plan(const PlanOptions& options);

// The plans that were made from the last run in a report folder, by rising bytes. Throws InputError for a
// folder that holds no run.
[[nodiscard]] QVL_API std::vector<PlanMark> plan_marks(const std::filesystem::path& report);

// Takes plans out of the report (not what was measured of them) and writes it again; gives those that are
// left. Throws UsageError for a name that there is not, InputError as above.
QVL_API std::vector<PlanMark> remove_plan_marks(const std::filesystem::path& report,
                                                const std::vector<std::string>& names);

}  // namespace qvl
