// measure_sensitivity and merge_sensitivity: what is measured in which order.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/output_folder.h"
#include "qvl/sensitivity.h"
#include "sensitivity/baselines.h"
#include "sensitivity/estimate.h"
#include "sensitivity/exact_choice.h"
#include "sensitivity/fill_report.h"
#include "sensitivity/report/report_files.h"
#include "sensitivity/run_context.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

class Measurement {
 public:
  explicit Measurement(const SensitivityOptions& options) : run_(checked(options)) {}
  SensitivityRun run();

 private:
  static const SensitivityOptions& checked(const SensitivityOptions& options);
  void weigh();
  void measure();
  [[nodiscard]] bool is_own(std::size_t unit) const {
    return run_.row_of[unit] % static_cast<std::size_t>(run_.options.shard.count) ==
           static_cast<std::size_t>(run_.options.shard.index);
  }
  [[nodiscard]] std::size_t format_index(const Format* format) const {
    return static_cast<std::size_t>(format - run_.formats.data());
  }
  [[nodiscard]] bool is_done() const;
  template <class Work>
  void timed(const std::string& stage, bool by_unit, Work&& work) {
    const Clock::time_point start = Clock::now();
    work();
    stages_.push_back({stage, std::chrono::duration<double>(Clock::now() - start).count(), by_unit});
  }

  Clock::time_point start_ = Clock::now();
  RunContext run_;
  std::vector<SensitivityStage> stages_;
};

const SensitivityOptions& Measurement::checked(const SensitivityOptions& options) {
  if (options.shard.count < 1 || options.shard.index < 0 || options.shard.index >= options.shard.count) {
    throw UsageError(fmt::format("shard {} of {}; the first is 1, the last the number of shards",
                                 options.shard.index + 1, options.shard.count));
  }
  if (!options.direction_in && !options.direction_out)
    throw UsageError("no direction; in, out or both are expected");
  if (options.report.empty()) throw UsageError("no folder for the report is given");
  require_report_folder(options.report);
  return options;
}

// Whether the store has all that the report needs.
bool Measurement::is_done() const {
  try {
    const SensitivityReport report = fill_report(run_.settings, *run_.store, "");
    return run_.options.method != Method::automatic ||
           std::ranges::all_of(report.trust, &EstimateTrust::settled);
  } catch (const InputError&) {
    return false;
  }
}

// What only depends on weights.
void Measurement::weigh() {
  for (std::size_t unit = 0; unit < run_.selected.size(); ++unit) {
    if (!run_.selected[unit] || !is_own(unit)) continue;
    if (run_.options.cancel != nullptr) run_.options.cancel->throw_if_cancelled();
    const std::string& name = run_.program->unit(unit).name;
    for (const Format& format : run_.formats) {
      const MeasurementKey key = run_.keys.of("", name, format, "weight");
      if (run_.store->has(key)) continue;
      const std::vector<double> number{run_.experiment->weights().mean_squared_error(unit, format)};
      run_.store->put(key, number);
    }
    const MeasurementKey key{"", name, "", "int8 asymmetric noise", ""};
    if (run_.options.criterion != Criterion::nncf_mean_variance || run_.store->has(key)) continue;
    const auto weight = run_.experiment->weights().get(unit, nullptr);
    const std::vector<double> number{int8_asymmetric_noise(run_.program->unit(unit).layout, *weight)};
    run_.store->put(key, number);
  }
  run_.store->flush();
}

void Measurement::measure() {
  const bool automatic = run_.options.method == Method::automatic;
  // To estimate all units is the same work in every shard; what is measured exactly is shared.
  const auto shares = [&](std::size_t unit) { return automatic || is_own(unit); };
  timed("the whole model quantized", false, [&] {
    run_.experiment->measure([](const Candidate& c, std::size_t) { return Wanted{false, !c.unit}; },
                             "the whole model quantized");
  });
  const ReplayPlan plan = plan_replays(run_.skeleton, run_.settings, *run_.store);
  const auto planned = [&](const Candidate& c, std::size_t sample) {
    const std::size_t f = format_index(c.format);
    const bool asked = c.out ? run_.options.direction_out : run_.options.direction_in || !plan.direct;
    return asked && plan.wants(run_.row_of[*c.unit], f, run_.settings.formats[f], sample, c.out);
  };
  const auto measure = [&](const std::string& stage, const WantedOf& want) {
    timed(stage, true, [&] { run_.experiment->measure(want, stage); });
  };
  if (run_.options.method != Method::exact) {
    measure("errors in the blocks, and some replays", [&](const Candidate& c, std::size_t sample) {
      if (!c.unit || !shares(*c.unit)) return Wanted{};
      return Wanted{true, planned(c, sample)};
    });
  }
  std::vector<std::vector<UnitEstimate>> estimates;
  if (run_.options.method != Method::exact)
    estimates = estimate_units(run_.skeleton, run_.settings, *run_.store);
  const std::string stage = "replays to the output";
  timed(stage, true, [&] {
    for (;;) {
      const ExactChoice choice = choose_exact(run_.settings, run_.skeleton, estimates, *run_.store);
      const std::int64_t before = run_.experiment->measured();
      const auto want = [&](const Candidate& c, std::size_t sample) {
        if (!c.unit || !is_own(*c.unit)) return Wanted{};
        const bool asked = c.out ? run_.options.direction_out : run_.options.direction_in;
        const bool all = choice.wanted[run_.row_of[*c.unit]][format_index(c.format)] && asked;
        return Wanted{true, all || planned(c, sample)};
      };
      run_.experiment->measure(want, stage);
      // A shard cannot know what the numbers of the others will ask for.
      if (choice.all_settled() || run_.experiment->measured() == before) return;
    }
  });
}

SensitivityRun Measurement::run() {
  SensitivityRun result;
  result.reused = run_.store->size();
  keep_settings(*run_.store, run_.settings);
  keep_origin(*run_.store, run_.options);
  if (!is_done()) {
    timed("unquantized model", false, [&] { run_.run_plain(); });
    timed("weights", true, [&] { weigh(); });
    if (is_measured(run_.options.criterion)) measure();
  }
  run_.store->flush();
  result.complete = run_.options.shard.count == 1;
  if (result.complete) {
    result.report = fill_report(run_.settings, *run_.store, run_.options.report.string());
    write_reports(result.report, run_.options.report);
  } else {
    result.report = run_.skeleton;
  }
  result.measured = run_.store->size() - result.reused;
  result.passes = static_cast<std::int64_t>(std::ceil(run_.experiment->passes()));
  result.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  result.peak_bytes = MemoryPlan::most_resident();
  result.stages = std::move(stages_);
  return result;
}

}  // namespace

SensitivityRun measure_sensitivity(const SensitivityOptions& options) { return Measurement(options).run(); }

SensitivityRun merge_sensitivity(const std::vector<fs::path>& shards, const fs::path& report) {
  const Clock::time_point start = Clock::now();
  if (shards.empty()) throw UsageError("no shard is given; the report folders of all shards are expected");
  for (const fs::path& shard : shards) {
    if (!fs::exists(store_of(shard)))
      throw InputError(fmt::format("{} has no {}; the report folder of a shard is expected", shard.string(),
                                   store_of(shard).filename().string()));
  }
  require_report_folder(report);
  for (const fs::path& shard : shards) {
    std::error_code error;
    if (fs::equivalent(shard, report, error) && !error)
      throw UsageError(fmt::format("{} is one of the shards; another folder is expected", report.string()));
  }
  const MeasuredModel model = MeasurementStore::model_of(store_of(shards.front()));
  make_output_folder(report);
  MeasurementStore store(store_of(report), model.sha256, model.name);
  SensitivityRun result;
  std::optional<RunSettings> settings;
  for (const fs::path& shard : shards) {
    RunSettings own;
    {
      const MeasurementStore other(store_of(shard), model.sha256, model.name);
      own = settings_in(other, shard);
      copy_origin(other, store);
    }
    if (settings && *settings != own) {
      throw InputError(
          fmt::format("{} and {} are shards of different runs: data, formats or other settings differ",
                      shards.front().string(), shard.string()));
    }
    settings = own;
    store.merge_from(store_of(shard));
  }
  keep_settings(store, *settings);
  store.flush();
  result.reused = store.size();
  result.report = fill_report(*settings, store, report.string());
  write_reports(result.report, report);
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  result.peak_bytes = MemoryPlan::most_resident();
  return result;
}

}  // namespace qvl
