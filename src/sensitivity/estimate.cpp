#include "sensitivity/estimate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "quant/format.h"
#include "qvl/error.h"
#include "sensitivity/metrics.h"

namespace qvl {
namespace {

constexpr double kCarried = 0.75;
constexpr double kDirectRuns = 3;  // runs of segments for each one that errors in the blocks take

// As a gain: the mean squared error and the mean divergence that a squared error of 1 at the end of a block
// makes.
struct Means {
  double mse = 0;
  std::optional<double> kl;
};

// Sums over a sample. Squared errors are added over all elements, as the exact mse does it: samples without
// elements add nothing.
struct SampleError {
  double squared = 0;
  double elements = 0;
  double kl = 0;
  double positions = 0;

  SampleError& operator+=(const SampleError& other) {
    squared += other.squared;
    elements += other.elements;
    kl += other.kl;
    positions += other.positions;
    return *this;
  }
};

SampleError error_of(const OutputSums& sums) {
  SampleError error{sums.squared_error, sums.elements, 0, static_cast<double>(sums.kl.size())};
  for (const double one : sums.kl) error.kl += one;
  return error;
}

// Looks numbers up by the names that the report gives to things.
class Numbers {
 public:
  Numbers(const SensitivityReport& skeleton, const RunSettings& settings, const MeasurementStore& store)
      : skeleton_(skeleton), settings_(settings), store_(store), keys_(settings.keys()) {}

  // Mean squared norm of the error at the end of the block over samples; none when one is missing.
  [[nodiscard]] std::optional<double> block_error(std::size_t unit, const std::string& format,
                                                  const std::vector<std::size_t>& samples) const {
    double sum = 0;
    for (const std::size_t s : samples) {
      const auto numbers = store_.find(key(unit, format, "block", s));
      if (!numbers) return std::nullopt;
      sum += LocalSums::of(*numbers).difference;
    }
    return sum / static_cast<double>(samples.size());
  }

  [[nodiscard]] std::optional<SampleError> unit_error(std::size_t unit, const std::string& format,
                                                      const char* kind,
                                                      const std::vector<std::size_t>& samples) const {
    SampleError sum;
    for (const std::size_t s : samples) {
      const auto numbers = store_.find(key(unit, format, kind, s));
      if (!numbers) return std::nullopt;
      sum += error_of(OutputSums::of(*numbers));
    }
    return sum;
  }

  // Of the whole model, by sample.
  [[nodiscard]] std::vector<SampleError> whole_errors(const std::string& format) const {
    std::vector<SampleError> errors;
    for (const std::string& sample : settings_.samples) {
      const auto numbers = store_.find(keys_.of_whole(sample, parse_format(format)));
      if (!numbers) {
        throw InputError("the measurement of all units in " + format +
                         " is missing; the same command again "
                         "makes it");
      }
      errors.push_back(error_of(OutputSums::of(*numbers)));
    }
    return errors;
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

std::vector<std::size_t> all_samples(const RunSettings& settings) {
  std::vector<std::size_t> samples(settings.samples.size());
  std::iota(samples.begin(), samples.end(), 0);
  return samples;
}

SampleError sum_of(const std::vector<SampleError>& errors, const std::vector<std::size_t>& samples) {
  SampleError sum;
  for (const std::size_t s : samples) sum += errors[s];
  return sum;
}

// The fewest samples that carry most of the error, the largest first.
std::vector<std::size_t> carriers_of(const std::vector<SampleError>& errors, std::size_t most) {
  std::vector<std::size_t> order(errors.size());
  std::iota(order.begin(), order.end(), 0);
  const bool logits = std::ranges::any_of(errors, [](const SampleError& e) { return e.positions > 0; });
  const auto weight = [&](std::size_t s) { return logits ? errors[s].kl : errors[s].squared; };
  std::ranges::stable_sort(order, std::greater<>(), weight);
  double total = 0;
  for (const std::size_t s : order) total += weight(s);
  double carried = 0;
  std::vector<std::size_t> carriers;
  for (const std::size_t s : order) {
    if (carriers.size() == most || (!carriers.empty() && carried >= kCarried * total)) break;
    carried += weight(s);
    carriers.push_back(s);
  }
  return carriers;
}

double between(double a, double b, double part) {
  return std::exp((1 - part) * std::log(a) + part * std::log(b));
}

Means interpolate(const Means& a, const Means& b, double part) {
  Means gain{between(a.mse, b.mse, part), std::nullopt};
  if (a.kl && b.kl) gain.kl = between(*a.kl, *b.kl, part);
  return gain;
}

// The gains of the replayed units, and between them those of the others.
std::vector<std::optional<Means>> gains_of(const SensitivityReport& skeleton, const Numbers& numbers,
                                           const ReplayPlan& plan, const std::vector<std::size_t>& samples) {
  std::vector<std::optional<Means>> gains(skeleton.units.size());
  std::vector<std::size_t> known;
  for (const std::size_t unit : plan.gain_units) {
    const auto error = numbers.block_error(unit, plan.gain_format, samples);
    const auto output = numbers.unit_error(unit, plan.gain_format, "in", samples);
    if (!error || !output || *error <= 0 || output->squared <= 0) continue;
    const double total = *error * static_cast<double>(samples.size());
    const auto count = static_cast<double>(samples.size());
    Means gain{output->squared / output->elements * count / total, std::nullopt};
    if (output->kl > 0)
      gain.kl = output->kl / output->positions * static_cast<double>(samples.size()) / total;
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

bool ReplayPlan::wants(std::size_t row, std::size_t format, const std::string& format_name,
                       std::size_t sample, bool out) const {
  const auto& samples = carriers[format];
  if (direct) return std::ranges::find(samples, sample) != samples.end();
  return !out && format_name == gain_format && sample == samples.front() &&
         std::ranges::binary_search(gain_units, row);
}

ReplayPlan plan_replays(const SensitivityReport& skeleton, const RunSettings& settings,
                        const MeasurementStore& store) {
  const Numbers numbers(skeleton, settings, store);
  const auto coarser = [](const std::string& a, const std::string& b) {
    const Format x = parse_format(a);
    const Format y = parse_format(b);
    const bool x_kept = x.activations == ActivationRounding::kept;
    const bool y_kept = y.activations == ActivationRounding::kept;
    if (x_kept != y_kept) return x_kept;
    const auto size = [](const Format& f) {
      return f.block == 0 ? std::numeric_limits<std::int64_t>::max() : f.block;
    };
    return x.bits != y.bits ? x.bits < y.bits : size(x) > size(y);
  };
  double segments = 0;
  for (const RunSettings::Part& part : settings.parts) segments += static_cast<double>(part.segments);
  const auto units = static_cast<double>(skeleton.units.size());
  const auto formats = static_cast<double>(settings.formats.size());
  const double local_runs = static_cast<double>(settings.samples.size()) * (segments + units * formats);
  const double replays = local_runs / std::max(1.0, segments / 2);
  const double directions = (settings.direction_in ? 1 : 0) + (settings.direction_out ? 1 : 0);
  const auto each = static_cast<std::size_t>(kDirectRuns * replays / (units * formats));
  ReplayPlan plan;
  plan.direct = each >= static_cast<std::size_t>(directions);
  plan.gain_format = *std::ranges::min_element(settings.formats, coarser);
  for (const std::string& format : settings.formats)
    plan.carriers.push_back(carriers_of(numbers.whole_errors(format), plan.direct ? each : 1));
  if (plan.direct) return plan;
  const auto count = std::clamp<std::size_t>(static_cast<std::size_t>(replays), 1, skeleton.units.size());
  for (std::size_t i = 0; i < count; ++i)
    plan.gain_units.push_back((2 * i + 1) * skeleton.units.size() / (2 * count));
  return plan;
}

namespace {

std::optional<Estimate> direct_estimate(const Numbers& numbers, std::size_t unit, const std::string& format,
                                        const char* kind, const std::vector<std::size_t>& carriers,
                                        const std::vector<SampleError>& whole) {
  const auto sum = numbers.unit_error(unit, format, kind, carriers);
  if (!sum) return std::nullopt;
  std::vector<std::size_t> every(whole.size());
  std::iota(every.begin(), every.end(), 0);
  const SampleError all = sum_of(whole, every);
  const SampleError carried = sum_of(whole, carriers);
  const auto scaled = [](double value, double total, double part, double count) {
    return part > 0 ? value * (total / part) / count : value / count;
  };
  if (all.elements <= 0) return Estimate{};
  Estimate estimate{scaled(sum->squared, all.squared, carried.squared, all.elements), std::nullopt};
  if (all.positions > 0) estimate.kl = scaled(sum->kl, all.kl, carried.kl, all.positions);
  return estimate;
}

void estimate_by_gain(const SensitivityReport& skeleton, const RunSettings& settings, const Numbers& numbers,
                      const ReplayPlan& plan, std::vector<std::vector<UnitEstimate>>& estimates) {
  const std::size_t gain_format = static_cast<std::size_t>(
      std::ranges::find(settings.formats, plan.gain_format) - settings.formats.begin());
  const auto gains = gains_of(skeleton, numbers, plan, plan.carriers[gain_format]);
  const std::vector<std::size_t> samples = all_samples(settings);
  // Elements of the output in the samples that were replayed, for each.
  const auto& carriers = plan.carriers[gain_format];
  const double replayed = sum_of(numbers.whole_errors(plan.gain_format), carriers).elements /
                          static_cast<double>(carriers.size());
  for (std::size_t f = 0; f < settings.formats.size(); ++f) {
    Estimate total{0, 0.0};
    const SampleError whole = sum_of(numbers.whole_errors(settings.formats[f]), samples);
    // Of the output, for each sample.
    const double elements = whole.elements / static_cast<double>(samples.size());
    for (std::size_t unit = 0; unit < skeleton.units.size(); ++unit) {
      const auto error = numbers.block_error(unit, settings.formats[f], samples);
      if (!error || !gains[unit]) continue;
      Estimate estimate{elements > 0 ? gains[unit]->mse * *error * (replayed / elements) : 0, std::nullopt};
      if (gains[unit]->kl) estimate.kl = *gains[unit]->kl * *error;
      total.mse += estimate.mse;
      *total.kl += estimate.kl.value_or(0);
      estimates[unit][f].in = estimate;
    }
    for (std::size_t unit = 0; unit < skeleton.units.size(); ++unit) {
      const auto& in = estimates[unit][f].in;
      if (!in) continue;
      const auto rest = [](double all, double own, double sum) {
        return sum > 0 ? all * (1 - own / sum) : all;
      };
      const double all = whole.elements > 0 ? whole.squared / whole.elements : 0;
      Estimate out{rest(all, in->mse, total.mse), std::nullopt};
      if (whole.positions > 0 && in->kl) out.kl = rest(whole.kl / whole.positions, *in->kl, *total.kl);
      estimates[unit][f].out = out;
    }
  }
}

}  // namespace

std::vector<std::vector<UnitEstimate>> estimate_units(const SensitivityReport& skeleton,
                                                      const RunSettings& settings,
                                                      const MeasurementStore& store) {
  const Numbers numbers(skeleton, settings, store);
  const ReplayPlan plan = plan_replays(skeleton, settings, store);
  std::vector<std::vector<UnitEstimate>> estimates(skeleton.units.size(),
                                                   std::vector<UnitEstimate>(settings.formats.size()));
  if (!plan.direct) {
    estimate_by_gain(skeleton, settings, numbers, plan, estimates);
    return estimates;
  }
  for (std::size_t f = 0; f < settings.formats.size(); ++f) {
    const std::string& format = settings.formats[f];
    const auto whole = numbers.whole_errors(format);
    for (std::size_t unit = 0; unit < skeleton.units.size(); ++unit) {
      if (settings.direction_in)
        estimates[unit][f].in = direct_estimate(numbers, unit, format, "in", plan.carriers[f], whole);
      if (settings.direction_out)
        estimates[unit][f].out = direct_estimate(numbers, unit, format, "out", plan.carriers[f], whole);
    }
  }
  return estimates;
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
