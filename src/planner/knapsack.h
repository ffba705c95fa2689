// The exact choice of one format for each group of units.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace qvl {

struct KnapsackChoice {
  std::uint64_t bytes = 0;
  double latency_ms = 0;
  double error = 0;
};
using KnapsackGroup = std::vector<KnapsackChoice>;  // one of them is taken; at least one

// With `error` the bytes are made least, else the error. At least one of bytes and error is not given.
struct KnapsackLimits {
  std::optional<std::uint64_t> bytes;
  std::optional<double> latency_ms;
  std::optional<double> error;
};

struct KnapsackSolution {
  bool feasible = false;            // false: no choice keeps the limits; `chosen` comes nearest
  std::vector<std::size_t> chosen;  // by group
  std::uint64_t bytes = 0;
  double latency_ms = 0;
  double error = 0;
  // How much less than this the objective (bytes with an error limit, else error) may be at most: 0 where the
  // solution is proven to be the best. Above 0 only when more partial choices had to be looked at than
  // `most_states`.
  double gap = 0;
};

// The multiple-choice knapsack problem, solved exactly: a Lagrangian bound over the convex hulls of the
// groups removes what cannot be part of a better solution, and what is left is enumerated group by group with
// dominance (D. Pisinger, "A minimal algorithm for the multiple-choice knapsack problem", 1995, with the
// states of G. L. Nemhauser and Z. Ullmann, "Discrete dynamic programming and capital allocation", 1969).
//
// Of several best solutions one with the fewest bytes is taken (with an error limit: with the least error),
// then the first choices of each group; the same problem always gives the same solution. Errors and latencies
// are added up in integers, exact to 2^-58 of the sum of the groups' greatest, so that no order of summation
// shows.
//
// Where nothing keeps the limits: with one limit, the least that can be had; with two, the least bytes (or
// error) among what keeps the latency, or the least latency where that cannot be kept at all.
//
// Throws UsageError for limits on bytes and error together, groups without a choice, and numbers that are
// negative, not finite, or whose sum exceeds 2^58.
[[nodiscard]] KnapsackSolution solve_knapsack(const std::vector<KnapsackGroup>& groups,
                                              const KnapsackLimits& limits,
                                              std::size_t most_states = 400'000);

// Bytes and error of a solution.
struct KnapsackPoint {
  std::uint64_t bytes = 0;
  double error = 0;
};

// Solutions of which no other has both fewer bytes and less error, by rising bytes. Where there are at most
// `most_points` of them, all; else those on the convex hull (thinned out evenly where even these are more),
// and exact solutions for bytes between them where the hull leaves the widest gaps.
[[nodiscard]] std::vector<KnapsackPoint> knapsack_front(const std::vector<KnapsackGroup>& groups,
                                                        std::size_t most_points = 200);

}  // namespace qvl
