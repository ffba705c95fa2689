#include "quant/entropy_range.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

namespace qvl {
namespace {

constexpr std::size_t kLevels = 256;
constexpr std::size_t kStep = 16;
constexpr double kAlmostNothing = 1e-4;  // counts in the place of none

std::size_t used_bins(std::span<const std::uint64_t> counts) {
  std::size_t used = counts.size();
  while (used > 0 && counts[used - 1] == 0) --used;
  return used;
}

// All bins in use, from the most negative to the most positive one.
struct Line {
  std::vector<std::uint64_t> counts;
  std::size_t zero = 0;  // where the positive side begins
};

Line line_of(const LinearHistogram& histogram) {
  const auto below = histogram.counts(LinearHistogram::negative);
  const auto above = histogram.counts(LinearHistogram::positive);
  Line line;
  line.zero = used_bins(below);
  for (std::size_t b = line.zero; b > 0; --b) line.counts.push_back(below[b - 1]);
  line.counts.insert(line.counts.end(), above.begin(),
                     above.begin() + static_cast<std::ptrdiff_t>(used_bins(above)));
  return line;
}

std::uint64_t sum(std::span<const std::uint64_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

// D for the bins from begin to end - 1.
double divergence(const Line& line, std::size_t begin, std::size_t end) {
  const std::span<const std::uint64_t> all(line.counts);
  const auto inside = all.subspan(begin, end - begin);
  const std::size_t bins = inside.size();
  std::vector<std::uint64_t> p(inside.begin(), inside.end());
  p.front() += sum(all.first(begin));
  p.back() += sum(all.subspan(end));
  std::vector<double> q(bins);
  for (std::size_t start = 0; start < bins;) {
    const std::size_t level = start * kLevels / bins;
    std::size_t stop = start;
    std::uint64_t mass = 0;
    std::size_t filled = 0;
    for (; stop < bins && stop * kLevels / bins == level; ++stop) {
      mass += inside[stop];
      filled += p[stop] != 0 ? 1U : 0U;
    }
    for (std::size_t j = start; j < stop; ++j) {
      if (p[j] != 0)
        q[j] = mass != 0 ? static_cast<double>(mass) / static_cast<double>(filled) : kAlmostNothing;
    }
    start = stop;
  }
  const auto p_sum = static_cast<double>(sum(p));
  const double q_sum = std::accumulate(q.begin(), q.end(), 0.0);
  double result = 0;
  for (std::size_t j = 0; j < bins; ++j) {
    if (p[j] == 0) continue;
    const double share = static_cast<double>(p[j]) / p_sum;
    result += share * std::log(share / (q[j] / q_sum));
  }
  return result;
}

}  // namespace

double entropy_threshold(const LinearHistogram& histogram) {
  const Line line = line_of(histogram);
  const std::size_t above = line.counts.size() - line.zero;
  const std::size_t widest = std::max(line.zero, above);
  std::size_t best = widest;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = widest; i > 0; i -= std::min(i, kStep)) {
    const std::size_t begin = line.zero - std::min(line.zero, i);
    const std::size_t end = line.zero + std::min(above, i);
    if (i != widest && end - begin < kLevels) break;
    const double found = divergence(line, begin, end);
    if (found < least) {
      least = found;
      best = i;
    }
  }
  return static_cast<double>(best) * histogram.width();
}

}  // namespace qvl
