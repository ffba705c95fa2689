#include "sensitivity/fill_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "quant/format.h"
#include "qvl/error.h"
#include "sensitivity/baselines.h"
#include "sensitivity/estimate.h"
#include "sensitivity/exact_choice.h"
#include "sensitivity/front_setting.h"
#include "sensitivity/metrics.h"
#include "sensitivity/report/report_reader.h"

namespace qvl {
namespace {

class Filler {
 public:
  Filler(const RunSettings& settings, const MeasurementStore& store, const std::string& source)
      : settings_(settings),
        store_(store),
        source_(source),
        keys_(settings.keys()),
        report_(parse_report(settings.skeleton, source)) {}

  SensitivityReport fill();

 private:
  [[nodiscard]] std::vector<double> number(const MeasurementKey& key) const;
  [[nodiscard]] OutputError output(const std::string& unit, const std::string& format,
                                   const char* kind) const;
  void add_plain();
  void add_whole();
  void add_unit(std::size_t unit, std::size_t format);
  void add_correlations();
  void correlate(const std::string& format, bool out, bool kl);

  const RunSettings& settings_;
  const MeasurementStore& store_;
  const std::string& source_;
  MeasurementKeys keys_;
  SensitivityReport report_;
  std::vector<bool> right_;  // by sample: whether the unquantized model answers it exactly
  std::vector<std::vector<UnitEstimate>> estimates_;
  CandidateSet exact_;
};

std::vector<double> Filler::number(const MeasurementKey& key) const {
  auto numbers = store_.find(key);
  if (numbers) return *std::move(numbers);
  throw InputError(
      fmt::format("{}: the measurement \"{}\" of unit {} in {} is missing; a run of the other shards, or "
                  "the same command again, makes it",
                  source_, key.kind, key.unit.empty() ? "(all)" : key.unit,
                  key.format.empty() ? "no format" : key.format));
}

OutputError Filler::output(const std::string& unit, const std::string& format, const char* kind) const {
  std::vector<OutputSums> samples;
  for (const std::string& sample : settings_.samples)
    samples.push_back(OutputSums::of(number(keys_.of(sample, unit, parse_format(format), kind))));
  return output_error(samples, settings_.others);
}

void Filler::add_plain() {
  std::vector<OutputSums> samples;
  for (const std::string& sample : settings_.samples) {
    samples.push_back(OutputSums::of(number(keys_.of_plain(sample, "plain"))));
    report_.positions += static_cast<std::int64_t>(samples.back().kl.size());
  }
  if (std::ranges::all_of(samples, [](const OutputSums& s) { return s.elements == 0; })) {
    throw InputError(fmt::format("{}: no sample gives the output {} an element: nothing can be compared",
                                 source_, report_.output.empty() ? "of the model" : report_.output));
  }
  report_.exact_unquantized = output_error(samples).exact;
  for (const OutputSums& sample : samples) right_.push_back(sample.exact == 1);
  double squares = 0;
  double elements = 0;
  for (const std::string& sample : settings_.samples) {
    const auto own = store_.find(keys_.of_plain(sample, "output"));
    if (!own) return;  // of a run before it was kept
    squares += own->at(0);
    elements += own->at(1);
  }
  if (elements > 0) report_.output_mean_square = squares / elements;
}

void Filler::add_whole() {
  for (const std::string& format : settings_.formats) {
    std::vector<OutputSums> samples;
    for (const std::string& sample : settings_.samples)
      samples.push_back(OutputSums::of(number(keys_.of_whole(sample, parse_format(format)))));
    std::int64_t lost = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) lost += right_[i] && samples[i].exact == 0 ? 1 : 0;
    report_.whole.push_back({format, output_error(samples, settings_.others)});
    if (report_.exact_unquantized) report_.whole.back().answers_lost = lost;
  }
}

void Filler::add_unit(std::size_t unit, std::size_t f) {
  UnitResult& result = report_.units[unit];
  const std::string& format = settings_.formats[f];
  FormatResult filled;
  filled.format = format;
  filled.weight_mse = number(keys_.of("", result.name, parse_format(format), "weight")).front();
  if (!is_measured(settings_.criterion)) {
    filled.method = to_string(settings_.criterion);
    filled.score = baseline_score(settings_, store_, result.name, format);
    result.formats.push_back(std::move(filled));
    return;
  }
  const UnitEstimate& estimate = estimates_[unit][f];
  LocalSums local;
  for (const std::string& sample : settings_.samples)
    local += LocalSums::of(number(keys_.of(sample, result.name, parse_format(format), "unit")));
  filled.local = local.error();
  const auto estimated = [](const std::optional<Estimate>& value) {
    std::optional<OutputError> error;
    if (!value) return error;
    error.emplace();
    error->mse = value->mse;
    error->kl = value->kl;
    return error;
  };
  const bool exact = exact_[unit][f];
  filled.method = exact ? "exact" : "fast";
  if (settings_.direction_in) {
    filled.in = exact ? output(result.name, format, "in") : estimated(estimate.in);
    filled.fast_in = estimate.in;
  }
  if (settings_.direction_out) {
    filled.out = exact ? output(result.name, format, "out") : estimated(estimate.out);
    filled.fast_out = estimate.out;
  }
  result.formats.push_back(std::move(filled));
}

void Filler::correlate(const std::string& format, bool out, bool kl) {
  std::vector<double> fast;
  std::vector<double> exact;
  for (const UnitResult& unit : report_.units) {
    const auto found = std::ranges::find(unit.formats, format, &FormatResult::format);
    if (found == unit.formats.end() || found->method != "exact") continue;
    const auto& measured = out ? found->out : found->in;
    const auto& estimate = out ? found->fast_out : found->fast_in;
    if (!measured || !estimate || (kl && (!measured->kl || !estimate->kl))) continue;
    fast.push_back(kl ? *estimate->kl : estimate->mse);
    exact.push_back(kl ? *measured->kl : measured->mse);
  }
  if (fast.size() < 3) return;
  report_.correlations.push_back({format, out ? "out" : "in", kl ? "kl" : "mse", spearman(fast, exact),
                                  static_cast<std::int64_t>(fast.size())});
}

void Filler::add_correlations() {
  for (const std::string& format : settings_.formats) {
    for (const bool out : {false, true}) {
      for (const bool kl : {true, false}) correlate(format, out, kl);
    }
  }
}

SensitivityReport Filler::fill() {
  add_plain();
  const bool measured = is_measured(settings_.criterion);
  if (measured) {
    add_whole();
    estimates_ = estimate_units(report_, settings_, store_);
    const ExactChoice choice = choose_exact(settings_, report_, estimates_, store_);
    exact_ = choice.complete;
    report_.trust = estimate_trust(settings_, report_, estimates_, choice, store_);
  }
  for (std::size_t unit = 0; unit < report_.units.size(); ++unit) {
    for (std::size_t f = 0; f < settings_.formats.size(); ++f) add_unit(unit, f);
  }
  if (measured) add_correlations();
  report_.front = stored_front(settings_, store_);
  return std::move(report_);
}

}  // namespace

SensitivityReport fill_report(const RunSettings& settings, const MeasurementStore& store,
                              const std::string& source) {
  return Filler(settings, store, source).fill();
}

}  // namespace qvl
