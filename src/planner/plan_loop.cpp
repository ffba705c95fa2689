#include "planner/plan_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "qvl/error.h"

namespace qvl {
namespace {

constexpr double kShareThatMatters = 0.9;
constexpr std::size_t kMostThatMatter = 48;
constexpr double kMostRatio = 16;
constexpr double kDampings[] = {1, 0.5, 0.25};
constexpr int kTries = 6;  // limits of the error in one fit

}  // namespace

PlanLoop::PlanLoop(const std::vector<KnapsackGroup>& groups, const std::vector<int>& units,
                   const KnapsackLimits& limits, Measure measure)
    : groups_(groups),
      units_(units),
      limits_(limits),
      measure_(std::move(measure)),
      weights_(groups.size(), 1) {}

PlanLoop::Plan PlanLoop::solve(const Weights& weights, const KnapsackLimits& limits) const {
  std::vector<KnapsackGroup> weighted = groups_;
  for (std::size_t g = 0; g < weighted.size(); ++g) {
    for (KnapsackChoice& choice : weighted[g]) choice.error *= weights[g];
  }
  Plan plan{solve_knapsack(weighted, limits), 0, std::nullopt};
  plan.predicted = plan.solution.error;
  return plan;
}

PlanLoop::Plan PlanLoop::plan_of(const PlanChoices& choices) const {
  Plan plan;
  plan.solution.chosen = choices;
  for (std::size_t g = 0; g < choices.size(); ++g) {
    const KnapsackChoice& choice = groups_[g][choices[g]];
    plan.solution.bytes += choice.bytes;
    plan.solution.latency_ms += choice.latency_ms;
    plan.solution.error += weights_[g] * choice.error;
  }
  plan.predicted = plan.solution.error;
  plan.solution.feasible = (!limits_.latency_ms || plan.solution.latency_ms <= *limits_.latency_ms) &&
                           (!limits_.bytes || plan.solution.bytes <= *limits_.bytes);
  return plan;
}

// Nothing quantized.
PlanLoop::Plan PlanLoop::kept() const { return plan_of(PlanChoices(groups_.size(), 0)); }

void PlanLoop::measure(std::vector<Plan*> plans, const std::string& stage) {
  std::vector<PlanChoices> missing;
  for (const Plan* plan : plans) {
    const bool asked = std::ranges::find(missing, plan->solution.chosen) != missing.end();
    if (!asked && !known_.contains(plan->solution.chosen)) missing.push_back(plan->solution.chosen);
  }
  if (!missing.empty()) {
    const std::vector<OutputError> errors = measure_(missing, stage);
    for (std::size_t i = 0; i < missing.size(); ++i) known_.emplace(missing[i], errors[i]);
  }
  for (Plan* plan : plans) plan->measured = known_.at(plan->solution.chosen);
}

// A plan that was there before says nothing new.
void PlanLoop::note(const Plan& plan, const std::string& change) {
  if (!noted_.insert(plan.solution.chosen).second) return;
  PlanRound round{change, plan.solution.bytes, plan.predicted, std::nullopt, 0};
  if (plan.measured) round.measured = error_of(*plan.measured);
  for (std::size_t g = 0; g < last_.size(); ++g) {
    if (last_[g] != plan.solution.chosen[g]) round.changed += units_[g];
  }
  last_ = plan.solution.chosen;
  rounds_.push_back(std::move(round));
}

bool PlanLoop::obeys(const Plan& plan) const {
  return !limits_.error || error_of(*plan.measured) <= *limits_.error;
}

bool PlanLoop::is_better(const Plan& a, const Plan& b) const {
  const auto order = [&](const Plan& plan) {
    const auto bytes = static_cast<double>(plan.solution.bytes);
    const double error = error_of(*plan.measured);
    return limits_.error ? std::pair(bytes, error) : std::pair(error, bytes);
  };
  return order(a) < order(b);
}

// Lower and lower limits until what is measured obeys.
std::optional<PlanLoop::Plan> PlanLoop::shrink(const Weights& weights, double limit,
                                               const std::string& change) {
  for (;;) {
    limit = limit > *limits_.error * 1e-6 ? limit / 4 : 0;
    KnapsackLimits lower = limits_;
    lower.error = limit;
    Plan plan = solve(weights, lower);
    if (!plan.solution.feasible) return std::nullopt;  // for the latency
    measure({&plan}, "plans measured");
    note(plan, fmt::format("{}, units' errors limited to {:.4g}", change, limit));
    if (obeys(plan)) return plan;
    if (limit == 0) break;
  }
  Plan plan = kept();
  if (!plan.solution.feasible) return std::nullopt;
  measure({&plan}, "plans measured");
  note(plan, change + ", nothing quantized");
  return plan;
}

// The smallest plan that was measured to keep the limit of the error; the knapsack's limit is bisected. None
// where it would not be smaller than the best that is there.
std::optional<PlanLoop::Plan> PlanLoop::fit(const Weights& weights, const std::string& change) {
  const double wanted = *limits_.error;
  double limit = wanted;
  double low = 0;  // obeyed
  std::optional<double> high;
  std::optional<Plan> best;
  std::vector<PlanChoices> seen;
  for (int i = 0; i < kTries; ++i) {
    KnapsackLimits now = limits_;
    now.error = limit;
    Plan plan = solve(weights, now);
    if (!plan.solution.feasible) break;
    // A lower limit only takes more bytes.
    if (best_.measured && plan.solution.bytes >= best_.solution.bytes) break;
    if (std::ranges::find(seen, plan.solution.chosen) != seen.end()) break;
    seen.push_back(plan.solution.chosen);
    measure({&plan}, "plans measured");
    note(plan, fmt::format("{}, units' errors limited to {:.4g}", change, limit));
    const double measured = error_of(*plan.measured);
    const double ratio = measured > 0 ? wanted / measured : 4;
    if (obeys(plan)) {
      low = limit;
      if (!best || is_better(plan, *best)) best = std::move(plan);
      limit = high ? std::sqrt(low * *high) : limit * std::clamp(ratio, 1.02, 4.0);
    } else {
      high = limit;
      limit = low > 0 ? std::sqrt(low * *high) : limit * std::clamp(ratio, 0.1, 0.9);
    }
    if (high && low > 0 && *high < low * 1.01) break;
  }
  if (best || best_.measured) return best;
  return shrink(weights, limit, change);
}

std::vector<std::size_t> PlanLoop::those_that_matter() const {
  std::vector<std::size_t> order;
  double total = 0;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (best_.solution.chosen[g] == 0) continue;
    order.push_back(g);
    total += believed(best_, g, weights_);
  }
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    return believed(best_, a, weights_) > believed(best_, b, weights_);
  });
  double sum = 0;
  std::size_t count = 0;
  while (count < order.size() && count < kMostThatMatter && sum < kShareThatMatters * total)
    sum += believed(best_, order[count++], weights_);
  order.resize(count);
  return order;
}

// By what each group's error is to be multiplied: what sparing it wins in the plan's company, to what was
// believed.
PlanLoop::Weights PlanLoop::ratios(std::string& what) {
  const std::vector<std::size_t> matter = those_that_matter();
  std::vector<Plan> spared(matter.size() + 1, best_);
  std::vector<Plan*> plans{&spared.front()};
  for (std::size_t i = 0; i < matter.size(); ++i) {
    spared[i + 1].solution.chosen[matter[i]] = 0;
    plans.push_back(&spared[i + 1]);
  }
  // The plan itself comes first, as what the others differ from, although it is known.
  const OutputError own = *best_.measured;
  known_.erase(best_.solution.chosen);
  measure(plans, "groups of the plan spared");
  const double measured = error_of(own);
  double won_total = 0;
  double believed_total = 0;
  Weights ratio(groups_.size(), 1);
  std::vector<double> won;
  for (std::size_t i = 0; i < matter.size(); ++i) {
    won.push_back(std::max(0.0, measured - error_of(*spared[i + 1].measured)));
    won_total += won.back();
    believed_total += believed(best_, matter[i], weights_);
  }
  const auto clamped = [](double r) { return std::clamp(r, 1 / kMostRatio, kMostRatio); };
  if (believed_total > 0) std::ranges::fill(ratio, clamped(won_total / believed_total));
  for (std::size_t i = 0; i < matter.size(); ++i) {
    const double error = believed(best_, matter[i], weights_);
    if (error > 0) ratio[matter[i]] = clamped(won[i] / error);
  }
  what = fmt::format("{} groups re-weighted by what they cost in the plan", matter.size());
  return ratio;
}

// One round; false when it found nothing better.
bool PlanLoop::repair() {
  std::string what;
  const Weights ratio = ratios(what);
  struct Reweighted {
    Weights weights;
    Plan plan;
    double damping = 1;
  };
  std::vector<Reweighted> candidates;
  for (const double damping : kDampings) {
    Reweighted candidate{weights_, {}, damping};
    double sum = 0;
    for (std::size_t g = 0; g < ratio.size(); ++g) {
      candidate.weights[g] *= std::pow(ratio[g], damping);
      sum += believed(best_, g, candidate.weights);
    }
    // To the scale of what was measured.
    const double measured = error_of(*best_.measured);
    if (sum > 0 && measured > 0) {
      for (double& weight : candidate.weights) weight *= measured / sum;
    }
    const std::string change = fmt::format("{} (to the power of {})", what, damping);
    if (limits_.error) {
      auto plan = fit(candidate.weights, change);
      if (!plan) continue;
      candidate.plan = *std::move(plan);
    } else {
      candidate.plan = solve(candidate.weights, limits_);
    }
    candidates.push_back(std::move(candidate));
  }
  if (!limits_.error) {
    std::vector<Plan*> plans;
    for (Reweighted& candidate : candidates) plans.push_back(&candidate.plan);
    measure(plans, "plans measured");
    for (const Reweighted& candidate : candidates)
      note(candidate.plan, fmt::format("{} (to the power of {})", what, candidate.damping));
  }
  bool better = false;
  for (Reweighted& candidate : candidates) {
    if (!obeys(candidate.plan) || !is_better(candidate.plan, best_)) continue;
    best_ = std::move(candidate.plan);
    weights_ = std::move(candidate.weights);
    better = true;
  }
  return better;
}

// Of plans that keep the other limits: one that is smaller than the best and is measured to obey takes its
// place, the smallest first, so that larger ones need not be measured.
void PlanLoop::consider_smallest(std::vector<Plan>& plans, const std::vector<std::string>& changes) {
  std::vector<std::size_t> order(plans.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return plans[i].solution.bytes; });
  for (const std::size_t i : order) {
    Plan& plan = plans[i];
    if (best_.measured && plan.solution.bytes > best_.solution.bytes) return;
    measure({&plan}, "plans measured");
    note(plan, changes[i]);
    if (!obeys(plan)) continue;
    if (!best_.measured || is_better(plan, best_)) best_ = std::move(plan);
    return;
  }
}

void PlanLoop::consider(std::span<const PlanCandidate> others) {
  std::vector<Plan> plans;
  std::vector<std::string> changes;
  for (const PlanCandidate& other : others) {
    Plan plan = plan_of(other.choices);
    if (!plan.solution.feasible) continue;
    plans.push_back(std::move(plan));
    changes.push_back(other.change);
  }
  if (limits_.error) return consider_smallest(plans, changes);
  std::vector<Plan*> all;
  for (Plan& plan : plans) all.push_back(&plan);
  measure(all, "plans measured");
  for (std::size_t i = 0; i < plans.size(); ++i) {
    note(plans[i], changes[i]);
    if (is_better(plans[i], best_)) best_ = plans[i];
  }
}

PlanLoop::Result PlanLoop::run(int rounds, std::span<const PlanCandidate> others, const Describe& describe) {
  best_ = solve(weights_, limits_);
  if (!best_.solution.feasible) throw InputError(describe(best_.solution));
  if (!measure_) {
    note(best_, "first plan, not measured");
    return {best_.solution.chosen, best_.solution.gap, std::nullopt, rounds_};
  }
  if (limits_.error) {
    if (auto plan = fit(weights_, "first plan")) best_ = *std::move(plan);
  } else {
    measure({&best_}, "plans measured");
    note(best_, "first plan");
  }
  consider(others);
  if (!best_.measured) {
    throw InputError(
        "no plan that keeps the latency was measured to keep the error; the last was measured "
        "at " +
        fmt::format("{:.4g}", rounds_.empty() ? 0 : rounds_.back().measured.value_or(0)));
  }
  for (int round = 0; round < rounds; ++round) {
    if (!repair()) break;
  }
  return {best_.solution.chosen, best_.solution.gap, best_.measured, rounds_};
}

}  // namespace qvl
