#include "sensitivity/exact_choice.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>

#include "core/sha256.h"
#include "quant/format.h"
#include "sensitivity/metrics.h"

namespace qvl {
namespace {

constexpr std::size_t kLeastChecked = 8;
constexpr std::size_t kFewestChecked = 4;  // of fewer a correlation says nothing
constexpr std::size_t kNeighbours = 8;
constexpr std::size_t kLeastInRound = 8;

// One format in one direction: logarithms of sensitivities.
class Ranking {
 public:
  Ranking(const RunSettings& settings, const SensitivityReport& skeleton,
          const std::vector<std::vector<UnitEstimate>>& estimates, std::size_t format, bool out,
          const MeasurementStore& store)
      : settings_(settings), skeleton_(skeleton), store_(store), format_(format), out_(out) {
    for (std::size_t unit = 0; unit < skeleton.units.size(); ++unit) {
      const std::optional<Estimate>& known = out ? estimates[unit][format].out : estimates[unit][format].in;
      estimates_.push_back(known ? log_sensitivity(known->mse, known->kl, settings.criterion, out)
                                 : HUGE_VAL);
    }
    exact_.resize(estimates_.size());
  }

  [[nodiscard]] const std::vector<double>& estimates() const noexcept { return estimates_; }
  [[nodiscard]] double exact(std::size_t unit) const { return exact_[unit].value(); }

  // Reads the numbers of these units; false when one is missing.
  bool read(const std::vector<bool>& units) {
    const MeasurementKeys keys = settings_.keys();
    for (std::size_t unit = 0; unit < units.size(); ++unit) {
      if (!units[unit] || exact_[unit]) continue;
      std::vector<OutputSums> sums;
      for (const std::string& sample : settings_.samples) {
        const auto numbers =
            store_.find(keys.of(sample, skeleton_.units[unit].name, parse_format(settings_.formats[format_]),
                                out_ ? "out" : "in"));
        if (!numbers) return false;
        sums.push_back(OutputSums::of(*numbers));
      }
      const OutputError error = output_error(sums);
      exact_[unit] = log_sensitivity(error.mse, error.kl, settings_.criterion, out_);
    }
    return true;
  }

  // The most sensitive ones of those, ascending rows.
  [[nodiscard]] std::vector<std::size_t> top(const std::vector<bool>& measured) const {
    std::vector<std::size_t> units = rows_of(measured);
    std::ranges::stable_sort(units, std::greater<>(), [&](std::size_t unit) { return *exact_[unit]; });
    units.resize(std::min(units.size(), ranking_top(exact_.size())));
    std::ranges::sort(units);
    return units;
  }

  [[nodiscard]] std::vector<std::size_t> estimated_top() const {
    std::vector<std::size_t> units(estimates_.size());
    std::iota(units.begin(), units.end(), 0);
    std::ranges::stable_sort(units, std::greater<>(), [&](std::size_t unit) { return estimates_[unit]; });
    units.resize(std::min(units.size(), ranking_top(units.size())));
    return units;
  }

  // Those that may belong to the top and are not measured, the likeliest first; all of them with `any`.
  [[nodiscard]] std::vector<std::size_t> candidates(const std::vector<bool>& measured, bool any) const {
    const std::vector<std::size_t> best = top(measured);
    double least = HUGE_VAL;
    for (const std::size_t unit : best) least = std::min(least, exact(unit));
    if (best.size() < ranking_top(exact_.size())) any = true;
    std::vector<std::pair<double, std::size_t>> found;
    for (std::size_t unit = 0; unit < measured.size(); ++unit) {
      if (measured[unit]) continue;
      const double bound = estimates_[unit] + std::max(0.0, largest_factor(unit, measured));
      if (any || bound > least) found.emplace_back(bound, unit);
    }
    std::ranges::stable_sort(found, std::greater<>(), [](const auto& f) { return f.first; });
    std::vector<std::size_t> units;
    for (const auto& [bound, unit] : found) units.push_back(unit);
    return units;
  }

  static std::vector<std::size_t> rows_of(const std::vector<bool>& set) {
    std::vector<std::size_t> rows;
    for (std::size_t unit = 0; unit < set.size(); ++unit) {
      if (set[unit]) rows.push_back(unit);
    }
    return rows;
  }

 private:
  // By which the estimates of the measured units next to this one were too small, as a logarithm.
  [[nodiscard]] double largest_factor(std::size_t unit, const std::vector<bool>& measured) const {
    std::vector<std::size_t> near;
    for (const std::size_t other : rows_of(measured)) {
      if (std::isfinite(estimates_[other])) near.push_back(other);
    }
    const auto distance = [&](std::size_t other) { return std::abs(estimates_[other] - estimates_[unit]); };
    std::ranges::stable_sort(near, {}, distance);
    double factor = -HUGE_VAL;
    for (const std::size_t other : std::span(near).first(std::min(near.size(), kNeighbours)))
      factor = std::max(factor, exact(other) - estimates_[other]);
    return factor;
  }

  const RunSettings& settings_;
  const SensitivityReport& skeleton_;
  const MeasurementStore& store_;
  std::size_t format_;
  bool out_;
  std::vector<double> estimates_;  // infinite where nothing is known
  std::vector<std::optional<double>> exact_;
};

std::vector<bool> directions_of(const RunSettings& settings) {
  std::vector<bool> directions;
  if (settings.direction_in) directions.push_back(false);
  if (settings.direction_out) directions.push_back(true);
  return directions;
}

// Those with the largest estimates, and those of which nothing is known.
void add_largest(const Ranking& ranking, std::vector<bool>& chosen) {
  std::vector<double> sorted = ranking.estimates();
  std::ranges::sort(sorted, std::greater<>());
  const double least = sorted[(sorted.size() - 1) / 4];
  for (std::size_t unit = 0; unit < chosen.size(); ++unit) {
    const double estimate = ranking.estimates()[unit];
    if (estimate >= least - std::log(2.0)) chosen[unit] = true;
  }
}

// The rounds of a format.
class Rounds {
 public:
  Rounds(std::vector<Ranking> rankings, std::vector<bool> first)
      : rankings_(std::move(rankings)), complete_(first), wanted_(std::move(first)) {}

  // True when nothing else is wanted.
  bool go() {
    std::vector<std::vector<std::size_t>> before;
    for (;;) {
      bool all_there = true;
      for (Ranking& ranking : rankings_) all_there = ranking.read(wanted_) && all_there;
      if (!all_there) return false;
      complete_ = wanted_;
      std::vector<std::vector<std::size_t>> tops;
      for (const Ranking& ranking : rankings_) tops.push_back(ranking.top(complete_));
      for (std::size_t i = 0; i < rankings_.size(); ++i) {
        const bool changed = !before.empty() && before[i] != tops[i];
        want(rankings_[i].candidates(complete_, changed));
      }
      if (wanted_ == complete_) return true;
      before = std::move(tops);
    }
  }

  [[nodiscard]] const std::vector<bool>& wanted() const noexcept { return wanted_; }
  [[nodiscard]] const std::vector<bool>& complete() const noexcept { return complete_; }

 private:
  void want(const std::vector<std::size_t>& candidates) {
    const std::size_t most = std::max(kLeastInRound, wanted_.size() / 8);
    for (const std::size_t unit : std::span(candidates).first(std::min(most, candidates.size())))
      wanted_[unit] = true;
  }

  std::vector<Ranking> rankings_;
  std::vector<bool> complete_;
  std::vector<bool> wanted_;
};

}  // namespace

bool ExactChoice::all_settled() const {
  return std::ranges::all_of(settled, [](bool is) { return is; });
}

std::size_t ranking_top(std::size_t units) { return std::min(units, std::max<std::size_t>(5, units / 20)); }

double log_sensitivity(double mse, std::optional<double> kl, Criterion criterion, bool out) {
  const double value = std::log(std::max(criterion == Criterion::kl && kl ? *kl : mse, 1e-300));
  return out ? -value : value;
}

std::vector<std::size_t> check_units(const RunSettings& settings, const SensitivityReport& skeleton) {
  const std::size_t units = skeleton.units.size();
  if (settings.method == Method::exact) return {};
  std::size_t count = std::min(units, std::max(kLeastChecked, (units + 9) / 10));
  if (settings.method == Method::fast) {
    double segments = 0;
    for (const RunSettings::Part& part : settings.parts) segments += static_cast<double>(part.segments);
    const auto formats = static_cast<double>(settings.formats.size());
    const double each =
        formats * static_cast<double>(directions_of(settings).size()) * std::max(1.0, segments / 2);
    const double paid = (segments + static_cast<double>(units) * formats) / std::max(1.0, each);
    count = std::min({count, units / 4, static_cast<std::size_t>(paid)});
    if (count < kFewestChecked) return {};
  }
  std::vector<std::pair<std::string, std::size_t>> drawn;
  for (std::size_t unit = 0; unit < units; ++unit) {
    drawn.emplace_back(sha256_of(skeleton.units[unit].name), unit);
  }
  std::ranges::sort(drawn);
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < count; ++i) rows.push_back(drawn[i].second);
  std::ranges::sort(rows);
  return rows;
}

ExactChoice choose_exact(const RunSettings& settings, const SensitivityReport& skeleton,
                         const std::vector<std::vector<UnitEstimate>>& estimates,
                         const MeasurementStore& store) {
  const std::size_t units = skeleton.units.size();
  const std::size_t formats = settings.formats.size();
  ExactChoice choice;
  choice.wanted.assign(units, std::vector<bool>(formats, settings.method == Method::exact));
  choice.complete = choice.wanted;
  choice.settled.assign(formats, true);
  if (settings.method == Method::exact || units == 0) return choice;
  const std::vector<std::size_t> checked = check_units(settings, skeleton);
  for (std::size_t f = 0; f < formats; ++f) {
    std::vector<bool> first(units, false);
    for (const std::size_t unit : checked) first[unit] = true;
    std::vector<Ranking> rankings;
    for (const bool out : directions_of(settings))
      rankings.emplace_back(settings, skeleton, estimates, f, out, store);
    std::vector<bool> complete = first;
    if (settings.method == Method::automatic) {
      for (const Ranking& ranking : rankings) add_largest(ranking, first);
      Rounds rounds(std::move(rankings), first);
      choice.settled[f] = rounds.go();
      first = rounds.wanted();
      complete = rounds.complete();
    }
    for (std::size_t unit = 0; unit < units; ++unit) {
      choice.wanted[unit][f] = first[unit];
      choice.complete[unit][f] = complete[unit];
    }
  }
  return choice;
}

double spearman_error(double spearman, std::size_t pairs) {
  if (pairs < 4) return 1;
  const auto n = static_cast<double>(pairs);
  const double most = 1 - 1 / n;
  const double clamped = std::clamp(spearman, -most, most);
  const double deviation = std::sqrt((1 + clamped * clamped / 2) / (n - 3));
  const double z = std::atanh(clamped);
  return (std::tanh(z + deviation) - std::tanh(z - deviation)) / 2;
}

std::vector<EstimateTrust> estimate_trust(const RunSettings& settings, const SensitivityReport& skeleton,
                                          const std::vector<std::vector<UnitEstimate>>& estimates,
                                          const ExactChoice& choice, const MeasurementStore& store) {
  std::vector<EstimateTrust> trusts;
  if (settings.method == Method::exact) return trusts;
  const std::vector<std::size_t> checked = check_units(settings, skeleton);
  for (std::size_t f = 0; f < settings.formats.size(); ++f) {
    std::vector<bool> measured;
    for (const std::vector<bool>& unit : choice.complete) measured.push_back(unit[f]);
    for (const bool out : directions_of(settings)) {
      Ranking ranking(settings, skeleton, estimates, f, out, store);
      EstimateTrust trust;
      trust.format = settings.formats[f];
      trust.direction = out ? "out" : "in";
      trust.measured = std::ranges::count(measured, true);
      trust.settled = settings.method == Method::automatic && choice.settled[f];
      if (!ranking.read(measured)) continue;  // of other shards; whoever fills the report says so
      std::vector<double> fast;
      std::vector<double> exact;
      for (const std::size_t unit : checked) {
        if (!std::isfinite(ranking.estimates()[unit])) continue;
        fast.push_back(ranking.estimates()[unit]);
        exact.push_back(ranking.exact(unit));
      }
      trust.checked = static_cast<std::int64_t>(fast.size());
      if (fast.size() >= kFewestChecked) {
        trust.spearman = spearman(fast, exact);
        trust.spearman_error = spearman_error(*trust.spearman, fast.size());
      }
      trust.top = static_cast<std::int64_t>(ranking_top(skeleton.units.size()));
      if (trust.settled) {
        const std::vector<std::size_t> right = ranking.top(measured);
        trust.top_found = std::ranges::count_if(ranking.estimated_top(), [&](std::size_t unit) {
          return std::ranges::binary_search(right, unit);
        });
      }
      trusts.push_back(std::move(trust));
    }
  }
  return trusts;
}

}  // namespace qvl
