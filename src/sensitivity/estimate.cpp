#include "sensitivity/estimate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "quant/format.h"
#include "sensitivity/metrics.h"

namespace qvl {
namespace {

// How much of a squared error at the end of a block reaches the output.
struct Gain {
  double mse = 0;
  std::optional<double> kl;
};

struct Means {
  double mse = 0;
  std::optional<double> kl;
};

std::optional<Means> mean_of(const std::vector<OutputSums>& samples) {
  if (samples.empty()) return std::nullopt;
  const OutputError error = output_error(samples);
  return Means{error.mse, error.kl};
}

// Looks numbers up by the names that the report gives to things.
class Numbers {
 public:
  Numbers(const SensitivityReport& skeleton, const RunSettings& settings, const MeasurementStore& store)
      : skeleton_(skeleton), settings_(settings), store_(store), keys_(settings.keys()) {}

  // Mean squared norm of the error at the end of the block over the first samples; none when one is missing.
  [[nodiscard]] std::optional<double> block_error(std::size_t unit, const std::string& format,
                                                  std::size_t samples) const {
    double sum = 0;
    for (std::size_t s = 0; s < samples; ++s) {
      const auto numbers = store_.find(key(unit, format, "block", s));
      if (!numbers) return std::nullopt;
      sum += LocalSums::of(*numbers).difference;
    }
    return sum / static_cast<double>(samples);
  }

  [[nodiscard]] std::optional<Means> output_errors(std::size_t unit, const std::string& format,
                                                   std::size_t samples) const {
    std::vector<OutputSums> all;
    for (std::size_t s = 0; s < samples; ++s) {
      const auto numbers = store_.find(key(unit, format, "in", s));
      if (!numbers) return std::nullopt;
      all.push_back(OutputSums::of(*numbers));
    }
    return mean_of(all);
  }

  [[nodiscard]] std::optional<Means> whole_error(const std::string& format) const {
    std::vector<OutputSums> all;
    for (const std::string& sample : settings_.samples) {
      const auto numbers = store_.find(keys_.of_whole(sample, parse_format(format)));
      if (!numbers) return std::nullopt;
      all.push_back(OutputSums::of(*numbers));
    }
    return mean_of(all);
  }

 private:
  [[nodiscard]] MeasurementKey key(std::size_t unit, const std::string& format, const char* kind,
                                   std::size_t sample) const {
    return keys_.of(settings_.samples[sample], skeleton_.units[unit].name, parse_format(format), kind);
  }

  const SensitivityReport& skeleton_;
  const RunSettings& settings_;
  const MeasurementStore& store_;
  MeasurementKeys keys_;
};

double between(double a, double b, double part) {
  return std::exp((1 - part) * std::log(a) + part * std::log(b));
}

Gain interpolate(const Gain& a, const Gain& b, double part) {
  Gain gain{between(a.mse, b.mse, part), std::nullopt};
  if (a.kl && b.kl) gain.kl = between(*a.kl, *b.kl, part);
  return gain;
}

// The gains of the replayed units, and between them those of the others.
std::vector<std::optional<Gain>> gains_of(const SensitivityReport& skeleton, const Numbers& numbers,
                                          const GainReplays& replays) {
  std::vector<std::optional<Gain>> gains(skeleton.units.size());
  std::vector<std::size_t> known;
  for (const auto& [unit, samples] : replays.units) {
    const auto error = numbers.block_error(unit, replays.format, samples);
    const auto output = numbers.output_errors(unit, replays.format, samples);
    if (!error || !output || *error <= 0 || output->mse <= 0) continue;
    Gain gain{output->mse / *error, std::nullopt};
    if (output->kl && *output->kl > 0) gain.kl = *output->kl / *error;
    gains[unit] = gain;
    known.push_back(unit);
  }
  for (std::size_t unit = 0; unit < gains.size(); ++unit) {
    if (gains[unit]) continue;
    const auto same_part = [&](std::size_t other) {
      return skeleton.units[other].part == skeleton.units[unit].part;
    };
    std::optional<std::size_t> before;
    std::optional<std::size_t> behind;
    for (const std::size_t other : known) {
      if (!same_part(other)) continue;
      if (other < unit) before = other;
      if (other > unit && !behind) behind = other;
    }
    if (!before && !behind) continue;
    if (!before) before = behind;
    if (!behind) behind = before;
    const auto place = [&](std::size_t other) { return static_cast<double>(skeleton.units[other].block); };
    const double span = place(*behind) - place(*before);
    const double part = span > 0 ? (place(unit) - place(*before)) / span : 0;
    gains[unit] = interpolate(*gains[*before], *gains[*behind], part);
  }
  return gains;
}

std::vector<double> ranks_of(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i + 1;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    const double rank = static_cast<double>(i + end - 1) / 2;
    for (; i < end; ++i) ranks[order[i]] = rank;
  }
  return ranks;
}

}  // namespace

GainReplays plan_gain_replays(const SensitivityReport& skeleton, const RunSettings& settings) {
  GainReplays replays;
  const auto coarser = [](const std::string& a, const std::string& b) {
    const Format x = parse_format(a);
    const Format y = parse_format(b);
    if (x.activations != y.activations &&
        (x.activations == ActivationRounding::kept) != (y.activations == ActivationRounding::kept))
      return x.activations == ActivationRounding::kept;
    if (x.bits != y.bits) return x.bits < y.bits;
    return x.block > y.block;
  };
  replays.format = *std::ranges::min_element(settings.formats, coarser);
  double segments = 0;
  for (const RunSettings::Part& part : settings.parts) segments += static_cast<double>(part.segments);
  const std::size_t units = skeleton.units.size();
  const auto samples = static_cast<double>(settings.samples.size());
  const double local_runs =
      samples * (segments + static_cast<double>(units) * static_cast<double>(settings.formats.size()));
  const auto affordable = static_cast<std::size_t>(local_runs / std::max(1.0, segments / 2));
  if (affordable >= units) {
    const std::size_t each = std::min(settings.samples.size(), affordable / units);
    for (std::size_t unit = 0; unit < units; ++unit) replays.units.emplace_back(unit, each);
    return replays;
  }
  const std::size_t count = std::max<std::size_t>(1, affordable);
  for (std::size_t i = 0; i < count; ++i) replays.units.emplace_back((2 * i + 1) * units / (2 * count), 1);
  return replays;
}

std::vector<std::vector<UnitEstimate>> estimate_units(const SensitivityReport& skeleton,
                                                      const RunSettings& settings,
                                                      const MeasurementStore& store) {
  const Numbers numbers(skeleton, settings, store);
  const auto gains = gains_of(skeleton, numbers, plan_gain_replays(skeleton, settings));
  std::vector<std::vector<UnitEstimate>> estimates(skeleton.units.size(),
                                                   std::vector<UnitEstimate>(settings.formats.size()));
  for (std::size_t f = 0; f < settings.formats.size(); ++f) {
    Estimate total{0, 0.0};
    for (std::size_t unit = 0; unit < skeleton.units.size(); ++unit) {
      const auto error = numbers.block_error(unit, settings.formats[f], settings.samples.size());
      if (!error || !gains[unit]) continue;
      Estimate estimate{gains[unit]->mse * *error, std::nullopt};
      if (gains[unit]->kl) estimate.kl = *gains[unit]->kl * *error;
      total.mse += estimate.mse;
      *total.kl += estimate.kl.value_or(0);
      estimates[unit][f].in = estimate;
    }
    const auto whole = numbers.whole_error(settings.formats[f]);
    if (!whole) continue;
    for (std::size_t unit = 0; unit < skeleton.units.size(); ++unit) {
      const auto& in = estimates[unit][f].in;
      if (!in) continue;
      const auto rest = [](double all, double own, double sum) {
        return sum > 0 ? all * (1 - own / sum) : all;
      };
      Estimate out{rest(whole->mse, in->mse, total.mse), std::nullopt};
      if (whole->kl && in->kl) out.kl = rest(*whole->kl, *in->kl, *total.kl);
      estimates[unit][f].out = out;
    }
  }
  return estimates;
}

std::vector<std::vector<bool>> exact_candidates(const RunSettings& settings,
                                                const SensitivityReport& skeleton,
                                                const std::vector<std::vector<UnitEstimate>>& estimates) {
  const std::size_t units = skeleton.units.size();
  std::vector<std::vector<bool>> chosen(
      units, std::vector<bool>(settings.formats.size(), settings.method == Method::exact));
  if (settings.method != Method::automatic || units == 0) return chosen;
  for (std::size_t f = 0; f < settings.formats.size(); ++f) {
    const auto measure = [&](std::size_t unit) {
      const auto& in = estimates[unit][f].in;
      if (!in) return HUGE_VAL;  // nothing is known of it
      return settings.criterion == Criterion::kl && in->kl ? *in->kl : in->mse;
    };
    std::vector<double> sorted;
    for (std::size_t unit = 0; unit < units; ++unit) sorted.push_back(measure(unit));
    std::ranges::sort(sorted, std::greater<>());
    const double least = sorted[(units - 1) / 4];
    for (std::size_t unit = 0; unit < units; ++unit) chosen[unit][f] = measure(unit) >= least / 2;
  }
  return chosen;
}

double spearman(const std::vector<double>& a, const std::vector<double>& b) {
  const std::vector<double> x = ranks_of(a);
  const std::vector<double> y = ranks_of(b);
  const double mean = (static_cast<double>(x.size()) - 1) / 2;
  double xy = 0;
  double xx = 0;
  double yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

}  // namespace qvl
