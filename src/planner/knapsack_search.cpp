#include "planner/knapsack_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "planner/knapsack_dual.h"

namespace qvl {
namespace {

__extension__ using Wide = __int128;  // costs times Search::one_

constexpr Wide kNever = (Wide{1} << 126U);

// An item beside the one of its group that is the cheapest at the prices.
struct Move {
  std::size_t item = 0;
  std::int64_t cost = 0;  // differences
  std::array<std::int64_t, 2> weight{};
  Wide excess = 0;  // of cost and priced weights; 0 and more
};

struct CoreGroup {
  std::size_t group = 0;
  std::vector<Move> moves;
  // Over all moves of this and the groups behind it: the least excess for each unit of weight that is added,
  // and that is removed.
  std::array<Wide, 2> per_added{kNever, kNever};
  std::array<Wide, 2> per_removed{kNever, kNever};
};

struct State {
  std::int64_t cost;  // with the base items of the groups that are still to come
  std::array<std::int64_t, 2> weight;
  Wide excess;
  std::uint32_t parent;
  std::uint16_t move;  // 0: the base item; else moves[move - 1]
};

class Search {
 public:
  Search(const SearchProblem& problem, std::size_t most_states)
      : problem_(problem), most_states_(most_states) {}
  SearchResult run(const std::vector<std::size_t>& known);

 private:
  struct Step {
    std::uint32_t parent;
    std::uint16_t move;
  };

  void set_prices(const std::array<double, 2>& prices);
  void find_base();
  void take_known(const std::vector<std::size_t>& known);
  void make_greedy();
  [[nodiscard]] std::optional<std::pair<std::size_t, Move>> best_repair(
      const std::vector<std::size_t>& chosen, const std::array<std::int64_t, 2>& weight) const;
  void find_core();
  void find_slopes();
  void expand(std::size_t core);
  [[nodiscard]] bool is_hopeless(const State& state, std::size_t next_core) const;
  void drop_dominated();
  void drop_too_many();
  void look_for_better(std::size_t core);
  void remember(std::size_t core, std::size_t state);
  [[nodiscard]] Wide room() const {  // for the excess of a better solution
    return best_ ? (Wide{best_->cost} - 1) * one_ - base_bound_ : kNever;
  }
  [[nodiscard]] bool fits(const std::array<std::int64_t, 2>& weight) const {
    return weight[0] <= problem_.limit[0] && weight[1] <= problem_.limit[1];
  }
  [[nodiscard]] Move move_of(std::size_t group, std::size_t item) const;

  const SearchProblem& problem_;
  std::size_t most_states_;
  Wide one_ = 1;  // a power of two, as large as sums allow, so that prices are fine enough
  std::array<Wide, 2> price_{};
  std::vector<std::size_t> base_;
  State start_{};
  Wide base_bound_ = 0;  // the Lagrangian bound, times one_
  std::optional<SearchResult> best_;
  std::vector<CoreGroup> core_;
  std::vector<State> states_;
  std::vector<std::vector<Step>> steps_;  // by core group
  Wide dropped_ = kNever;                 // least excess of a state that was dropped for want of room
};

Move Search::move_of(std::size_t group, std::size_t item) const {
  const SearchItem& to = problem_.groups[group][item];
  const SearchItem& from = problem_.groups[group][base_[group]];
  Move move{item, to.cost - from.cost, {to.weight[0] - from.weight[0], to.weight[1] - from.weight[1]}, 0};
  move.excess = Wide{move.cost} * one_ + price_[0] * move.weight[0] + price_[1] * move.weight[1];
  return move;
}

void Search::set_prices(const std::array<double, 2>& prices) {
  std::array<double, 3> total{1, 1, 1};  // of weights and cost
  for (const auto& group : problem_.groups) {
    std::array<std::int64_t, 3> most{};
    for (const SearchItem& item : group) {
      for (std::size_t k = 0; k < 2; ++k) most[k] = std::max(most[k], item.weight[k]);
      most[2] = std::max(most[2], item.cost);
    }
    for (std::size_t k = 0; k < 3; ++k) total[k] += static_cast<double>(most[k]);
  }
  const double largest = std::max({total[2], prices[0] * total[0], prices[1] * total[1]});
  const int fraction = std::clamp(120 - std::ilogb(largest), 0, 60);
  one_ = Wide{1} << static_cast<unsigned>(fraction);
  for (std::size_t k = 0; k < 2; ++k) price_[k] = static_cast<Wide>(std::ldexp(prices[k], fraction));
}

void Search::find_base() {
  set_prices(knapsack_prices(problem_));
  base_.assign(problem_.groups.size(), 0);
  for (std::size_t g = 0; g < base_.size(); ++g) {
    for (std::size_t item = 1; item < problem_.groups[g].size(); ++item) {
      const Move move = move_of(g, item);
      if (move.excess < 0 || (move.excess == 0 && move.weight[0] < 0)) base_[g] = item;
    }
    const SearchItem& item = problem_.groups[g][base_[g]];
    start_.cost += item.cost;
    for (std::size_t k = 0; k < 2; ++k) start_.weight[k] += item.weight[k];
  }
  base_bound_ = Wide{start_.cost} * one_;
  for (std::size_t k = 0; k < 2; ++k) base_bound_ += price_[k] * (start_.weight[k] - problem_.limit[k]);
}

void Search::take_known(const std::vector<std::size_t>& known) {
  if (known.empty()) return;
  SearchResult result{true, known, 0, 0};
  for (std::size_t g = 0; g < known.size(); ++g) result.cost += problem_.groups[g][known[g]].cost;
  if (!best_ || result.cost < best_->cost) best_ = std::move(result);
}

// The move that wins back too large weights for the least excess, or where all fits, that lowers the cost.
std::optional<std::pair<std::size_t, Move>> Search::best_repair(
    const std::vector<std::size_t>& chosen, const std::array<std::int64_t, 2>& weight) const {
  const bool fits_now = fits(weight);
  std::optional<std::pair<std::size_t, Move>> best;
  double best_value = 0;
  for (std::size_t g = 0; g < chosen.size(); ++g) {
    const Move now = move_of(g, chosen[g]);
    for (std::size_t item = 0; item < problem_.groups[g].size(); ++item) {
      if (item == chosen[g]) continue;
      Move move = move_of(g, item);
      move.cost -= now.cost;
      move.excess -= now.excess;
      std::array<std::int64_t, 2> after{};
      double won = 0;  // of what is too much, as a share of the limits
      for (std::size_t k = 0; k < 2; ++k) {
        move.weight[k] -= now.weight[k];
        after[k] = weight[k] + move.weight[k];
        const auto over = [&](std::int64_t w) {
          return static_cast<double>(std::max<std::int64_t>(0, w - problem_.limit[k])) /
                 (static_cast<double>(problem_.limit[k]) + 1);
        };
        won += over(weight[k]) - over(after[k]);
      }
      double value = 0;
      if (fits_now) {
        if (move.cost >= 0 || !fits(after)) continue;
        value = -static_cast<double>(move.cost);
      } else {
        if (won <= 0) continue;
        value = won / (std::max(0.0, static_cast<double>(move.excess)) + 1e-3 * static_cast<double>(one_));
      }
      if (!best || value > best_value) {
        best = {g, move};
        best_value = value;
      }
    }
  }
  return best;
}

void Search::make_greedy() {
  std::vector<std::size_t> chosen = base_;
  std::array<std::int64_t, 2> weight = start_.weight;
  for (std::size_t step = 0; step < 4 * chosen.size() + 16; ++step) {
    const auto repair = best_repair(chosen, weight);
    if (!repair) break;
    chosen[repair->first] = repair->second.item;
    for (std::size_t k = 0; k < 2; ++k) weight[k] += repair->second.weight[k];
  }
  if (fits(weight)) take_known(chosen);
}

// Groups with items that can be part of a better solution.
void Search::find_core() {
  std::array<std::int64_t, 2> least{};  // sums of the least weights
  const auto least_of = [&](std::size_t g, std::size_t k) {
    std::int64_t weight = problem_.groups[g].front().weight[k];
    for (const SearchItem& item : problem_.groups[g]) weight = std::min(weight, item.weight[k]);
    return weight;
  };
  for (std::size_t g = 0; g < base_.size(); ++g) {
    for (std::size_t k = 0; k < 2; ++k) least[k] += least_of(g, k);
  }
  // Whether anything with the item keeps the limits.
  const auto fits_at_all = [&](std::size_t g, const SearchItem& item) {
    for (std::size_t k = 0; k < 2; ++k) {
      if (least[k] - least_of(g, k) + item.weight[k] > problem_.limit[k]) return false;
    }
    return true;
  };
  struct Ordered {
    Wide nearest;
    CoreGroup group;
  };
  std::vector<Ordered> found;
  for (std::size_t g = 0; g < base_.size(); ++g) {
    Ordered entry{kNever, {}};
    entry.group.group = g;
    for (std::size_t item = 0; item < problem_.groups[g].size(); ++item) {
      if (item == base_[g] || !fits_at_all(g, problem_.groups[g][item])) continue;
      const Move move = move_of(g, item);
      if (move.excess > room()) continue;
      entry.nearest = std::min(entry.nearest, move.excess / (std::abs(move.weight[0]) + 1));
      entry.group.moves.push_back(move);
    }
    if (!entry.group.moves.empty()) found.push_back(std::move(entry));
  }
  std::ranges::stable_sort(found, [](const Ordered& a, const Ordered& b) { return a.nearest < b.nearest; });
  for (Ordered& entry : found) core_.push_back(std::move(entry.group));
  find_slopes();
}

void Search::find_slopes() {
  for (std::size_t c = core_.size(); c-- > 0;) {
    if (c + 1 < core_.size()) {
      core_[c].per_added = core_[c + 1].per_added;
      core_[c].per_removed = core_[c + 1].per_removed;
    }
    for (const Move& move : core_[c].moves) {
      for (std::size_t k = 0; k < 2; ++k) {
        if (move.weight[k] == 0) continue;
        Wide& least = move.weight[k] > 0 ? core_[c].per_added[k] : core_[c].per_removed[k];
        least = std::min(least, move.excess / std::abs(move.weight[k]));
      }
    }
  }
}

// Whether nothing better can come of it: the weight that is left costs its price, or the excess of the moves
// that use it; the weight that is too much costs the excess of the moves that remove it.
bool Search::is_hopeless(const State& state, std::size_t next_core) const {
  const Wide left = room() - state.excess;
  if (left < 0) return true;
  const bool ends = next_core == core_.size();
  for (std::size_t k = 0; k < 2; ++k) {
    const std::int64_t slack = problem_.limit[k] - state.weight[k];
    if (slack == 0) continue;
    const Wide removed = ends ? kNever : core_[next_core].per_removed[k];
    const Wide each =
        slack < 0 ? removed : std::min(price_[k], ends ? kNever : core_[next_core].per_added[k]);
    if (each == kNever) return true;
    if (each > left / std::abs(slack)) return true;
  }
  return false;
}

void Search::expand(std::size_t core) {
  const std::vector<Move>& moves = core_[core].moves;
  std::vector<State> next;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    State state = states_[i];
    state.parent = static_cast<std::uint32_t>(i);
    state.move = 0;
    if (!is_hopeless(state, core + 1)) next.push_back(state);
    for (std::size_t m = 0; m < moves.size(); ++m) {
      State moved = state;
      moved.excess += moves[m].excess;
      moved.cost += moves[m].cost;
      for (std::size_t k = 0; k < 2; ++k) moved.weight[k] += moves[m].weight[k];
      moved.move = static_cast<std::uint16_t>(m + 1);
      if (!is_hopeless(moved, core + 1)) next.push_back(moved);
    }
  }
  states_ = std::move(next);
}

// Another state with no more of anything makes a state needless: with the same groups to come it ends better.
void Search::drop_dominated() {
  std::ranges::sort(states_, [](const State& a, const State& b) {
    if (a.weight != b.weight) return a.weight < b.weight;
    if (a.cost != b.cost) return a.cost < b.cost;
    return a.parent != b.parent ? a.parent < b.parent : a.move < b.move;
  });
  std::map<std::int64_t, std::int64_t> least;  // second weight -> cost, falling
  std::size_t kept = 0;
  for (const State& state : states_) {
    auto next = least.upper_bound(state.weight[1]);
    if (next != least.begin() && std::prev(next)->second <= state.cost) continue;
    while (next != least.end() && next->second >= state.cost) next = least.erase(next);
    least.insert_or_assign(state.weight[1], state.cost);
    states_[kept++] = state;
  }
  states_.resize(kept);
}

void Search::drop_too_many() {
  if (states_.size() <= most_states_) return;
  std::ranges::stable_sort(states_, [](const State& a, const State& b) { return a.excess < b.excess; });
  dropped_ = std::min(dropped_, states_[most_states_].excess);
  states_.resize(most_states_);
}

void Search::remember(std::size_t core, std::size_t state) {
  SearchResult result{true, base_, states_[state].cost, 0};
  for (std::size_t c = core + 1; c-- > 0;) {
    const Step step = steps_[c][state];
    if (step.move != 0) result.chosen[core_[c].group] = core_[c].moves[step.move - 1U].item;
    state = step.parent;
  }
  best_ = std::move(result);
}

void Search::look_for_better(std::size_t core) {
  std::optional<std::size_t> better;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (!fits(states_[i].weight)) continue;
    const std::int64_t cost = better  ? states_[*better].cost
                              : best_ ? best_->cost
                                      : std::numeric_limits<std::int64_t>::max();
    if (states_[i].cost < cost) better = i;
  }
  if (better) remember(core, *better);
}

SearchResult Search::run(const std::vector<std::size_t>& known) {
  find_base();
  take_known(known);
  make_greedy();
  find_core();
  states_ = {start_};
  for (std::size_t core = 0; core < core_.size() && !states_.empty(); ++core) {
    expand(core);
    drop_dominated();
    drop_too_many();
    steps_.emplace_back();
    for (const State& state : states_) steps_.back().push_back({state.parent, state.move});
    look_for_better(core);
  }
  if (!best_) return {};
  SearchResult result = *std::move(best_);
  result.bound = result.cost;
  if (dropped_ != kNever) {
    const Wide bound = (base_bound_ + dropped_ + one_ - 1) / one_;  // costs are whole numbers
    result.bound = std::clamp(static_cast<std::int64_t>(bound), std::int64_t{0}, result.cost);
  }
  return result;
}

}  // namespace

SearchResult search_knapsack(const SearchProblem& problem, const std::vector<std::size_t>& known,
                             std::size_t most_states) {
  return Search(problem, most_states).run(known);
}

}  // namespace qvl
