// What measurements of a model are made with: the program, the units that are selected, the store, the
// experiment; by `qvl sensitivity`, and again by what goes on with a finished run.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "quant/calibration.h"
#include "qvl/sensitivity.h"
#include "sensitivity/experiment.h"
#include "sensitivity/run_settings.h"

namespace qvl {

class RunContext {
 public:
  // Loads model and data and opens (or makes) the store in options.report, which it has alone from then on.
  // Throws as measure_sensitivity does.
  explicit RunContext(SensitivityOptions options);

  RunContext(const RunContext&) = delete;
  RunContext& operator=(const RunContext&) = delete;

  // The unquantized model, and with it what is learned from its activations: ranges, and for a baseline
  // variances. To be called before anything is measured.
  void run_plain();

  SensitivityOptions options;
  std::vector<Format> formats;
  Calibration calibration;
  std::unique_ptr<Program> program;
  std::vector<bool> selected;       // by unit of all parts
  std::vector<std::size_t> row_of;  // unit -> row of the report
  RunSettings settings;
  MeasurementKeys keys;
  SensitivityReport skeleton;
  std::unique_ptr<MeasurementStore> store;
  std::unique_ptr<Experiment> experiment;

 private:
  void make_settings();
};

// The store of a report folder.
[[nodiscard]] std::filesystem::path store_of(const std::filesystem::path& report);
// The settings of the run that a store holds. Throws InputError naming the store when there is none.
[[nodiscard]] RunSettings settings_in(const MeasurementStore& store, const std::filesystem::path& report);
void keep_settings(MeasurementStore& store, const RunSettings& settings);

// Where the run's model and data are (absolute) and its options, to measure more later: kept in the store,
// not in the report, whose bytes do not depend on paths.
void keep_origin(MeasurementStore& store, const SensitivityOptions& options);
void copy_origin(const MeasurementStore& from, MeasurementStore& to);
// Options to go on with; report is `report`. Throws InputError when the store knows none (of a run before
// they were kept).
[[nodiscard]] SensitivityOptions origin_in(const MeasurementStore& store,
                                           const std::filesystem::path& report);

// The same of a folder that holds a run; nothing where it holds none.
[[nodiscard]] std::optional<SensitivityOptions> measured_run(const std::filesystem::path& folder);

}  // namespace qvl
