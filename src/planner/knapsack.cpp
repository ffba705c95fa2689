#include "planner/knapsack.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "planner/knapsack_search.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr int kBits = 58;  // of the sums
constexpr std::size_t kBytes = 0;
constexpr std::size_t kLatency = 1;
constexpr std::size_t kError = 2;

// The problem in integers.
class FixedProblem {
 public:
  using Numbers = std::array<std::int64_t, 3>;  // bytes, latency, error
  using Limits = std::array<std::optional<std::int64_t>, 3>;

  explicit FixedProblem(const std::vector<KnapsackGroup>& groups);
  [[nodiscard]] Limits limits_of(const KnapsackLimits& limits) const;
  // The least of one quantity within limits on the others (at most two).
  [[nodiscard]] SearchResult least(std::size_t quantity, const Limits& limits,
                                   const std::vector<std::size_t>& known, std::size_t most_states) const;
  [[nodiscard]] std::int64_t sum(std::size_t quantity, const std::vector<std::size_t>& chosen) const;
  [[nodiscard]] double scale(std::size_t quantity) const { return scale_[quantity]; }
  [[nodiscard]] const std::vector<std::vector<Numbers>>& groups() const { return groups_; }

 private:
  void scale_quantity(std::size_t quantity, double total);

  std::vector<std::vector<Numbers>> groups_;
  std::array<double, 3> scale_{1, 1, 1};
  std::array<std::int64_t, 3> most_{};  // sums of the groups' greatest
};

double number_of(const KnapsackChoice& choice, std::size_t quantity) {
  if (quantity == kBytes) return static_cast<double>(choice.bytes);
  return quantity == kLatency ? choice.latency_ms : choice.error;
}

FixedProblem::FixedProblem(const std::vector<KnapsackGroup>& groups) {
  std::array<double, 3> total{};
  for (const KnapsackGroup& group : groups) {
    if (group.empty()) throw UsageError("a group of a knapsack has no choice; one or more are expected");
    std::array<double, 3> most{};
    for (const KnapsackChoice& choice : group) {
      for (std::size_t q = 0; q < 3; ++q) {
        const double number = number_of(choice, q);
        if (!std::isfinite(number) || number < 0)
          throw UsageError(
              fmt::format("a choice of a knapsack has the cost {}; 0 or more is expected", number));
        most[q] = std::max(most[q], number);
      }
    }
    for (std::size_t q = 0; q < 3; ++q) total[q] += most[q];
  }
  if (total[kBytes] >= std::ldexp(1.0, kBits)) throw UsageError("the bytes of a knapsack exceed 2^58");
  for (const std::size_t q : {kLatency, kError}) {
    // A power of two: numbers with few bits stay what they are.
    if (total[q] > 0) scale_[q] = std::ldexp(1.0, kBits - 1 - std::ilogb(total[q]));
  }
  for (const KnapsackGroup& group : groups) {
    groups_.emplace_back();
    Numbers most{};
    for (const KnapsackChoice& choice : group) {
      Numbers fixed{static_cast<std::int64_t>(choice.bytes), 0, 0};
      for (const std::size_t q : {kLatency, kError})
        fixed[q] = std::llround(number_of(choice, q) * scale_[q]);
      for (std::size_t q = 0; q < 3; ++q) most[q] = std::max(most[q], fixed[q]);
      groups_.back().push_back(fixed);
    }
    for (std::size_t q = 0; q < 3; ++q) most_[q] += most[q];
  }
}

FixedProblem::Limits FixedProblem::limits_of(const KnapsackLimits& limits) const {
  Limits fixed;
  const auto put = [&](std::size_t quantity, double limit, std::int64_t tolerance) {
    if (std::isnan(limit)) throw UsageError("a limit of a knapsack is no number");
    const double scaled = std::floor(limit * scale_[quantity]);
    if (scaled >= static_cast<double>(most_[quantity])) {
      fixed[quantity] = most_[quantity];
    } else {
      fixed[quantity] = scaled < 0 ? -1 : static_cast<std::int64_t>(scaled) + tolerance;
    }
  };
  // Each group's number was rounded by half at most.
  const auto rounding = static_cast<std::int64_t>(groups_.size() / 2 + 1);
  if (limits.bytes) put(kBytes, static_cast<double>(*limits.bytes), 0);
  if (limits.latency_ms) put(kLatency, *limits.latency_ms, rounding);
  if (limits.error) put(kError, *limits.error, rounding);
  return fixed;
}

std::int64_t FixedProblem::sum(std::size_t quantity, const std::vector<std::size_t>& chosen) const {
  std::int64_t total = 0;
  for (std::size_t g = 0; g < chosen.size(); ++g) total += groups_[g][chosen[g]][quantity];
  return total;
}

SearchResult FixedProblem::least(std::size_t quantity, const Limits& limits,
                                 const std::vector<std::size_t>& known, std::size_t most_states) const {
  std::vector<std::size_t> weights;
  for (std::size_t q = 0; q < 3; ++q) {
    if (q != quantity && limits[q]) weights.push_back(q);
  }
  SearchProblem problem;
  for (std::size_t k = 0; k < weights.size(); ++k)
    problem.limit[k] = std::min(*limits[weights[k]], most_[weights[k]]);
  for (const auto& group : groups_) {
    problem.groups.emplace_back();
    for (const Numbers& numbers : group) {
      SearchItem item{numbers[quantity], {}};
      for (std::size_t k = 0; k < weights.size(); ++k) item.weight[k] = numbers[weights[k]];
      problem.groups.back().push_back(item);
    }
  }
  return search_knapsack(problem, known, most_states);
}

KnapsackSolution solution_of(const std::vector<KnapsackGroup>& groups, const SearchResult& found,
                             bool feasible) {
  KnapsackSolution solution;
  solution.feasible = feasible;
  solution.chosen = found.chosen;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const KnapsackChoice& choice = groups[g][found.chosen[g]];
    solution.bytes += choice.bytes;
    solution.latency_ms += choice.latency_ms;
    solution.error += choice.error;
  }
  return solution;
}

// What keeps all limits; or, not feasible, what comes nearest.
SearchResult keep_limits(const FixedProblem& problem, const FixedProblem::Limits& limits, std::size_t first,
                         std::size_t most_states) {
  SearchResult found = problem.least(kLatency, {}, {}, most_states);
  if (limits[kLatency] && found.cost > *limits[kLatency]) {
    FixedProblem::Limits tie;
    tie[kLatency] = found.cost;
    found = problem.least(kBytes, tie, found.chosen, most_states);
    found.feasible = false;
    return found;
  }
  if (!limits[first]) return found;
  FixedProblem::Limits others;
  others[kLatency] = limits[kLatency];
  const std::vector<std::size_t> known = limits[kLatency] ? found.chosen : std::vector<std::size_t>();
  found = problem.least(first, others, known, most_states);
  found.feasible = found.cost <= *limits[first];
  return found;
}

}  // namespace

KnapsackSolution solve_knapsack(const std::vector<KnapsackGroup>& groups, const KnapsackLimits& limits,
                                std::size_t most_states) {
  if (limits.bytes && limits.error)
    throw UsageError("a knapsack is limited in bytes or in error, not in both");
  const FixedProblem problem(groups);
  const FixedProblem::Limits fixed = problem.limits_of(limits);
  const std::size_t objective = limits.error ? kBytes : kError;
  const std::size_t tie = limits.error ? kError : kBytes;
  const SearchResult start = keep_limits(problem, fixed, tie, most_states);
  if (!start.feasible) return solution_of(groups, start, false);
  const SearchResult best = problem.least(objective, fixed, start.chosen, most_states);
  FixedProblem::Limits equal;
  equal[kLatency] = fixed[kLatency];
  equal[objective] = best.cost;
  const SearchResult least = problem.least(tie, equal, best.chosen, most_states);
  KnapsackSolution solution = solution_of(groups, least, true);
  solution.gap = static_cast<double>(best.cost - best.bound) / problem.scale(objective);
  return solution;
}

namespace {

using Point = std::pair<std::int64_t, std::int64_t>;  // bytes, error

// All points that no other dominates, by rising bytes; nothing when they become more than `most`.
std::optional<std::vector<Point>> whole_front(const FixedProblem& problem, std::size_t most) {
  std::vector<Point> front{{0, 0}};
  for (const auto& group : problem.groups()) {
    std::vector<Point> all;
    for (const Point& point : front) {
      for (const auto& numbers : group)
        all.emplace_back(point.first + numbers[kBytes], point.second + numbers[kError]);
    }
    std::ranges::sort(all);
    front.clear();
    for (const Point& point : all) {
      if (front.empty() || point.second < front.back().second) front.push_back(point);
    }
    if (front.size() > most) return std::nullopt;
  }
  return front;
}

// The convex hull of all points: steps along the groups' hulls, the steepest first.
std::vector<Point> supported_front(const FixedProblem& problem) {
  Point point{0, 0};
  std::vector<Point> steps;  // bytes more, error less
  const auto steeper = [](const Point& a, const Point& b) {
    return static_cast<long double>(a.second) * static_cast<long double>(b.first) >
           static_cast<long double>(b.second) * static_cast<long double>(a.first);
  };
  for (const auto& group : problem.groups()) {
    std::vector<Point> points;
    for (const auto& numbers : group) points.emplace_back(numbers[kBytes], numbers[kError]);
    std::ranges::sort(points);
    std::vector<Point> hull;
    const auto step = [](const Point& from, const Point& to) {
      return Point{to.first - from.first, from.second - to.second};
    };
    for (const Point& p : points) {
      if (!hull.empty() && p.second >= hull.back().second) continue;
      while (hull.size() > 1 && !steeper(step(hull[hull.size() - 2], hull.back()), step(hull.back(), p)))
        hull.pop_back();
      hull.push_back(p);
    }
    point.first += hull.front().first;
    point.second += hull.front().second;
    for (std::size_t i = 1; i < hull.size(); ++i) steps.push_back(step(hull[i - 1], hull[i]));
  }
  std::ranges::stable_sort(steps, steeper);
  std::vector<Point> front{point};
  for (const Point& step : steps) {
    point.first += step.first;
    point.second -= step.second;
    front.push_back(point);
  }
  return front;
}

// The least error for bytes in the middle of the widest gaps.
void fill_gaps(const FixedProblem& problem, std::vector<Point>& front, std::size_t most_points) {
  constexpr std::size_t kStates = 20'000;  // for a curve, nearly the best does as well
  while (front.size() < most_points && front.size() > 1) {
    const std::size_t before = front.size();
    const std::int64_t each =
        (front.back().first - front.front().first) / static_cast<std::int64_t>(most_points);
    std::vector<Point> more;
    for (std::size_t i = 1; i < before && before + more.size() < most_points; ++i) {
      const std::int64_t gap = front[i].first - front[i - 1].first;
      if (gap <= std::max<std::int64_t>(each, 1)) continue;
      FixedProblem::Limits limits;
      limits[kBytes] = front[i - 1].first + gap / 2;
      const SearchResult found = problem.least(kError, limits, {}, kStates);
      const Point point{problem.sum(kBytes, found.chosen), found.cost};
      if (point.first > front[i - 1].first && point.second < front[i - 1].second) more.push_back(point);
    }
    if (more.empty()) return;
    front.insert(front.end(), more.begin(), more.end());
    std::ranges::sort(front);
  }
}

}  // namespace

std::vector<KnapsackPoint> knapsack_front(const std::vector<KnapsackGroup>& groups, std::size_t most_points) {
  const FixedProblem problem(groups);
  constexpr std::size_t kEnough = 5'000;  // points on the way, of which many are dominated later
  auto front = whole_front(problem, kEnough);
  if (!front || front->size() > most_points) {
    front = supported_front(problem);
    if (front->size() > most_points) {
      std::vector<Point> thinned;
      for (std::size_t i = 0; i < most_points; ++i)
        thinned.push_back((*front)[i * (front->size() - 1) / (most_points - 1)]);
      front = std::move(thinned);
    } else {
      fill_gaps(problem, *front, most_points);
    }
  }
  std::vector<KnapsackPoint> points;
  for (const Point& point : *front) {
    points.push_back(
        {static_cast<std::uint64_t>(point.first), static_cast<double>(point.second) / problem.scale(kError)});
  }
  return points;
}

}  // namespace qvl
