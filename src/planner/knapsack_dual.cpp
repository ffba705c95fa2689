#include "planner/knapsack_dual.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace qvl {
namespace {

struct HullPoint {
  std::int64_t weight;
  std::int64_t other;  // the second weight
  double cost;
};

// Of points by rising weight, those on the lower convex hull whose cost falls.
std::vector<HullPoint> hull_of(std::vector<HullPoint> points) {
  std::ranges::sort(points, [](const HullPoint& a, const HullPoint& b) {
    return a.weight != b.weight ? a.weight < b.weight : a.cost < b.cost;
  });
  std::vector<HullPoint> hull;
  for (const HullPoint& p : points) {
    if (!hull.empty() && p.cost >= hull.back().cost) continue;
    while (hull.size() > 1) {
      const HullPoint& a = hull[hull.size() - 2];
      const HullPoint& b = hull.back();
      const double before = (a.cost - b.cost) / static_cast<double>(b.weight - a.weight);
      const double after = (b.cost - p.cost) / static_cast<double>(p.weight - b.weight);
      if (before > after) break;
      hull.pop_back();
    }
    hull.push_back(p);
  }
  return hull;
}

struct Relaxed {
  double price = 0;
  double other = 0;  // the second weight's sum
};

// The linear relaxation with the first limit only, the second weight costing `price` each.
Relaxed relax(const SearchProblem& problem, double price) {
  struct Step {
    double slope;
    double weight;
    double other;
  };
  std::vector<Step> steps;
  double left = static_cast<double>(problem.limit[0]);
  Relaxed result;
  for (const auto& group : problem.groups) {
    std::vector<HullPoint> points;
    for (const SearchItem& item : group) {
      points.push_back({item.weight[0], item.weight[1],
                        static_cast<double>(item.cost) + price * static_cast<double>(item.weight[1])});
    }
    const std::vector<HullPoint> hull = hull_of(std::move(points));
    left -= static_cast<double>(hull.front().weight);
    result.other += static_cast<double>(hull.front().other);
    for (std::size_t i = 1; i < hull.size(); ++i) {
      const auto weight = static_cast<double>(hull[i].weight - hull[i - 1].weight);
      steps.push_back({(hull[i - 1].cost - hull[i].cost) / weight, weight,
                       static_cast<double>(hull[i].other) - static_cast<double>(hull[i - 1].other)});
    }
  }
  std::ranges::stable_sort(steps, [](const Step& a, const Step& b) { return a.slope > b.slope; });
  for (const Step& step : steps) {
    if (step.weight >= left) {
      result.price = step.slope;
      if (step.weight > 0) result.other += step.other * std::max(0.0, left) / step.weight;
      break;
    }
    left -= step.weight;
    result.other += step.other;
  }
  return result;
}

}  // namespace

std::array<double, 2> knapsack_prices(const SearchProblem& problem) {
  const auto limit = static_cast<double>(problem.limit[1]);
  double low = 0;
  Relaxed best = relax(problem, low);
  if (best.other <= limit) return {best.price, 0};
  double costs = 1;
  double weights = 1;
  for (const auto& group : problem.groups) {
    for (const SearchItem& item : group) {
      costs = std::max(costs, static_cast<double>(item.cost));
      weights = std::max(weights, static_cast<double>(item.weight[1]));
    }
  }
  double high = costs / weights / 1024;
  for (int i = 0; i < 80; ++i) {
    best = relax(problem, high);
    if (best.other <= limit) break;
    low = high;
    high *= 2;
  }
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    const Relaxed relaxed = relax(problem, middle);
    if (relaxed.other <= limit) {
      high = middle;
      best = relaxed;
    } else {
      low = middle;
    }
  }
  return {best.price, high};
}

}  // namespace qvl
