// measure_sensitivity and merge_sensitivity: what is measured in which order.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <unordered_map>

#include "quant/range_calibrator.h"
#include "qvl/sensitivity.h"
#include "sensitivity/baselines.h"
#include "sensitivity/estimate.h"
#include "sensitivity/experiment.h"
#include "sensitivity/fill_report.h"
#include "sensitivity/model_hash.h"
#include "sensitivity/open_program.h"
#include "sensitivity/report_files.h"
#include "sensitivity/run_settings.h"
#include "sensitivity/skeleton.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kStoreName = "measurements.sqlite";
constexpr const char* kSettingsName = "run";

std::string hash_of_model(const SensitivityOptions& options, const Program& program) {
  std::vector<fs::path> files;
  for (const auto& part : program.parts) {
    const auto own = part->graph.files();
    files.insert(files.end(), own.begin(), own.end());
  }
  return model_hash(std::move(files), fs::is_directory(options.model) ? options.model : fs::path(), {},
                    options.threads, options.cancel);
}

std::vector<bool> select_units(const Program& program, const std::string& pattern) {
  std::vector<bool> selected(program.unit_count());
  std::string first;
  for (std::size_t unit = 0; unit < selected.size(); ++unit) {
    if (first.empty()) first = program.unit(unit).name;
    selected[unit] = matches(pattern, program.unit(unit).name);
  }
  if (std::ranges::none_of(selected, [](bool s) { return s; })) {
    throw UsageError(
        fmt::format("no unit is called {}; there are {}, the first is {}", pattern, selected.size(), first));
  }
  return selected;
}

class Measurement {
 public:
  explicit Measurement(SensitivityOptions options);
  SensitivityRun run();

 private:
  void check_options() const;
  void make_settings();
  void run_plain();
  void weigh();
  void measure();
  [[nodiscard]] bool is_own(std::size_t unit) const {
    return row_of_[unit] % static_cast<std::size_t>(options_.shard.count) ==
           static_cast<std::size_t>(options_.shard.index);
  }
  [[nodiscard]] std::size_t format_index(const Format* format) const {
    return static_cast<std::size_t>(format - formats_.data());
  }
  [[nodiscard]] bool is_done() const;
  template <class Work>
  void timed(const std::string& stage, bool by_unit, Work&& work) {
    const Clock::time_point start = Clock::now();
    work();
    stages_.push_back({stage, std::chrono::duration<double>(Clock::now() - start).count(), by_unit});
  }

  SensitivityOptions options_;
  std::vector<SensitivityStage> stages_;
  Clock::time_point start_ = Clock::now();
  std::vector<Format> formats_;
  Calibration calibration_;
  std::unique_ptr<Program> program_;
  std::vector<bool> selected_;
  std::vector<std::size_t> row_of_;  // unit -> row of the report
  RunSettings settings_;
  MeasurementKeys keys_;
  SensitivityReport skeleton_;
  std::unique_ptr<MeasurementStore> store_;
  std::unique_ptr<Experiment> experiment_;
};

void Measurement::check_options() const {
  if (options_.shard.count < 1 || options_.shard.index < 0 || options_.shard.index >= options_.shard.count) {
    throw UsageError(fmt::format("shard {} of {}; the first is 1, the last the number of shards",
                                 options_.shard.index + 1, options_.shard.count));
  }
  if (!options_.direction_in && !options_.direction_out)
    throw UsageError("no direction; in, out or both are expected");
  if (options_.report.empty()) throw UsageError("no folder for the report is given");
}

Measurement::Measurement(SensitivityOptions given) : options_(std::move(given)) {
  const SensitivityOptions& options = options_;
  check_options();
  std::string list;
  for (const std::string& format : options.formats) list += (list.empty() ? "" : ",") + format;
  formats_ = parse_formats(list);
  calibration_ = parse_calibration(options.calibrate);
  program_ = open_program(options.model, options.data, options.samples, options.cancel);
  selected_ = select_units(*program_, options.units);
  if (options.criterion == Criterion::kl && !program_->has_logits) options_.criterion = Criterion::mse;
  make_settings();
  fs::create_directories(options.report);
  store_ = std::make_unique<MeasurementStore>(options.report / kStoreName, skeleton_.model_sha256,
                                              skeleton_.model);
  experiment_ = std::make_unique<Experiment>(*program_, *store_, formats_, selected_, keys_, options_);
}

void Measurement::make_settings() {
  skeleton_ = make_skeleton(*program_, selected_, options_);
  for (const Sample& sample : program_->samples) settings_.samples.push_back(sample.sha256);
  skeleton_.model_sha256 = hash_of_model(options_, *program_);
  skeleton_.data_sha256 = hash_of_lines(settings_.samples);
  for (const Format& format : formats_) settings_.formats.push_back(to_string(format));
  for (const auto& part : program_->parts)
    settings_.parts.push_back({part->name, static_cast<std::int64_t>(part->cut.segments.size())});
  settings_.method = options_.method;
  settings_.direction_in = options_.direction_in;
  settings_.direction_out = options_.direction_out;
  settings_.criterion = options_.criterion;
  settings_.fused_attention = options_.fused_attention;
  settings_.calibration = to_string(calibration_) + " of " + skeleton_.data_sha256;
  std::vector<std::string> names;
  row_of_.assign(selected_.size(), 0);
  std::unordered_map<std::string, std::size_t> rows;
  for (const UnitResult& unit : skeleton_.units) {
    rows.emplace(unit.name, names.size());
    names.push_back(unit.name);
  }
  for (std::size_t unit = 0; unit < selected_.size(); ++unit) {
    if (selected_[unit]) row_of_[unit] = rows.at(program_->unit(unit).name);
  }
  settings_.unit_set = hash_of_lines(names);
  settings_.skeleton = report_json(skeleton_);
  keys_ = settings_.keys();
}

// Whether the store has all that the report needs.
bool Measurement::is_done() const {
  try {
    (void)fill_report(settings_, *store_, "");
    return true;
  } catch (const InputError&) {
    return false;
  }
}

// The unquantized model, and with it what is learned from its activations.
void Measurement::run_plain() {
  const bool variance = options_.criterion == Criterion::nncf_mean_variance;
  const bool ranges = std::ranges::any_of(
      formats_, [](const Format& f) { return f.activations == ActivationRounding::static_u8; });
  std::vector<RangeCalibrator> calibrators;
  if (ranges) calibrators.assign(selected_.size(), RangeCalibrator(calibration_));
  const auto observe = [&](std::size_t unit, std::size_t sample, const TensorView& input) {
    if (!selected_[unit] || input.dtype != DType::f32) return;
    const std::span<const float> values(reinterpret_cast<const float*>(input.bytes.data()),
                                        input.bytes.size() / sizeof(float));
    if (ranges) calibrators[unit].observe(values);
    if (!variance) return;
    const MeasurementKey key{program_->samples[sample].sha256, program_->unit(unit).name, "",
                             "input variance", ""};
    const std::vector<double> number{mean_variance(input)};
    if (!store_->has(key)) store_->put(key, number);
  };
  experiment_->run_plain(ranges || variance ? Experiment::Observe(observe) : Experiment::Observe());
  if (!ranges) return;
  StaticRanges found;
  for (std::size_t unit = 0; unit < selected_.size(); ++unit)
    found.push_back(selected_[unit] ? AffineU8::of_range(calibrators[unit].range()) : AffineU8{});
  experiment_->set_ranges(std::move(found));
}

// What only depends on weights.
void Measurement::weigh() {
  for (std::size_t unit = 0; unit < selected_.size(); ++unit) {
    if (!selected_[unit] || !is_own(unit)) continue;
    if (options_.cancel != nullptr) options_.cancel->throw_if_cancelled();
    const std::string& name = program_->unit(unit).name;
    for (const Format& format : formats_) {
      const MeasurementKey key = keys_.of("", name, format, "weight");
      if (store_->has(key)) continue;
      const std::vector<double> number{experiment_->weights().mean_squared_error(unit, format)};
      store_->put(key, number);
    }
    const MeasurementKey key{"", name, "", "int8 asymmetric noise", ""};
    if (options_.criterion != Criterion::nncf_mean_variance || store_->has(key)) continue;
    const auto weight = experiment_->weights().get(unit, nullptr);
    const std::vector<double> number{int8_asymmetric_noise(program_->unit(unit).layout, *weight)};
    store_->put(key, number);
  }
  store_->flush();
}

void Measurement::measure() {
  const bool automatic = options_.method == Method::automatic;
  // To estimate all units is the same work in every shard; what is measured exactly is shared.
  const auto shares = [&](std::size_t unit) { return automatic || is_own(unit); };
  timed("the whole model quantized", false, [&] {
    experiment_->measure([](const Candidate& c, std::size_t) { return Wanted{false, !c.unit}; },
                         "the whole model quantized");
  });
  const ReplayPlan plan = plan_replays(skeleton_, settings_, *store_);
  const auto planned = [&](const Candidate& c, std::size_t sample) {
    const std::size_t f = format_index(c.format);
    const bool asked = c.out ? options_.direction_out : options_.direction_in || !plan.direct;
    return asked && plan.wants(row_of_[*c.unit], f, settings_.formats[f], sample, c.out);
  };
  const auto measure = [&](const std::string& stage, const Experiment::Want& want) {
    timed(stage, true, [&] { experiment_->measure(want, stage); });
  };
  if (options_.method != Method::exact) {
    measure("errors in the blocks, and some replays", [&](const Candidate& c, std::size_t sample) {
      if (!c.unit || !shares(*c.unit)) return Wanted{};
      return Wanted{true, planned(c, sample)};
    });
  }
  if (options_.method == Method::fast) return;
  const auto exact = exact_candidates(
      settings_, skeleton_,
      automatic ? estimate_units(skeleton_, settings_, *store_) : std::vector<std::vector<UnitEstimate>>{});
  measure("replays to the output", [&](const Candidate& c, std::size_t sample) {
    if (!c.unit || !is_own(*c.unit)) return Wanted{};
    const bool asked = c.out ? options_.direction_out : options_.direction_in;
    const bool all = exact[row_of_[*c.unit]][format_index(c.format)] && asked;
    return Wanted{true, all || planned(c, sample)};
  });
}

SensitivityRun Measurement::run() {
  SensitivityRun result;
  result.reused = store_->size();
  store_->set_setting(kSettingsName, settings_.to_json());
  if (!is_done()) {
    timed("unquantized model", false, [&] { run_plain(); });
    timed("weights", true, [&] { weigh(); });
    if (is_measured(options_.criterion)) measure();
  }
  store_->flush();
  result.complete = options_.shard.count == 1;
  if (result.complete) {
    result.report = fill_report(settings_, *store_, options_.report.string());
    write_reports(result.report, options_.report);
  } else {
    result.report = skeleton_;
  }
  result.measured = store_->size() - result.reused;
  result.passes = static_cast<std::int64_t>(std::ceil(experiment_->passes()));
  result.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  result.peak_bytes = MemoryPlan::most_resident();
  result.stages = std::move(stages_);
  return result;
}

RunSettings settings_in(const MeasurementStore& store, const fs::path& folder) {
  const auto text = store.setting(kSettingsName);
  if (!text)
    throw InputError(fmt::format("{} holds no run of qvl sensitivity", (folder / kStoreName).string()));
  return RunSettings::parse(*text, (folder / kStoreName).string());
}

}  // namespace

SensitivityRun measure_sensitivity(const SensitivityOptions& options) { return Measurement(options).run(); }

SensitivityRun merge_sensitivity(const std::vector<fs::path>& shards, const fs::path& report) {
  const Clock::time_point start = Clock::now();
  if (shards.empty()) throw UsageError("no shard is given; the report folders of all shards are expected");
  for (const fs::path& shard : shards) {
    if (!fs::exists(shard / kStoreName))
      throw InputError(
          fmt::format("{} has no {}; the report folder of a shard is expected", shard.string(), kStoreName));
  }
  const MeasuredModel model = MeasurementStore::model_of(shards.front() / kStoreName);
  fs::create_directories(report);
  MeasurementStore store(report / kStoreName, model.sha256, model.name);
  SensitivityRun result;
  std::optional<RunSettings> settings;
  for (const fs::path& shard : shards) {
    RunSettings own;
    {
      const MeasurementStore other(shard / kStoreName, model.sha256, model.name);
      own = settings_in(other, shard);
    }
    if (settings && *settings != own) {
      throw InputError(
          fmt::format("{} and {} are shards of different runs: data, formats or other settings differ",
                      shards.front().string(), shard.string()));
    }
    settings = own;
    store.merge_from(shard / kStoreName);
  }
  store.set_setting(kSettingsName, settings->to_json());
  store.flush();
  result.reused = store.size();
  result.report = fill_report(*settings, store, report.string());
  write_reports(result.report, report);
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  result.peak_bytes = MemoryPlan::most_resident();
  return result;
}

}  // namespace qvl
