// Prices of a knapsack's weights for which its Lagrangian bound is (nearly) the greatest.
#pragma once

#include <array>

#include "planner/knapsack_search.h"

namespace qvl {

// Costs per unit of each weight, 0 and more. With one limit that counts, the slope at which the linear
// relaxation fills it, found on the convex hulls of the groups; with two, the second price is bisected. Any
// prices give a bound; better ones a tighter one.
[[nodiscard]] std::array<double, 2> knapsack_prices(const SearchProblem& problem);

}  // namespace qvl
