// The knapsack's core, in integers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace qvl {

// One choice of a group; none of its numbers is negative.
struct SearchItem {
  std::int64_t cost = 0;
  std::array<std::int64_t, 2> weight{};
};

// The least cost of one item a group with the weights' sums within the limits. Sums of the greatest costs and
// of the greatest weights must be at most 2^59. A limit that is at least such a sum is none.
struct SearchProblem {
  std::vector<std::vector<SearchItem>> groups;
  std::array<std::int64_t, 2> limit{};
};

struct SearchResult {
  bool feasible = false;
  std::vector<std::size_t> chosen;  // by group
  std::int64_t cost = 0;
  std::int64_t bound = 0;  // no solution costs less; equal to cost where nothing had to be dropped
};

// `known` is a solution to start from, or empty. At most `most_states` partial choices are kept after each
// group, those with the least bounds; when more had to be dropped, a problem with two limits may be said to
// be infeasible although it is not, unless `known` is given.
[[nodiscard]] SearchResult search_knapsack(const SearchProblem& problem,
                                           const std::vector<std::size_t>& known, std::size_t most_states);

}  // namespace qvl
