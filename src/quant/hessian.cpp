#include "quant/hessian.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <new>

#include "core/parallel.h"
#include "kernels/dense_product.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::int64_t kTurned = 64;  // rows and columns that are turned at a time

std::vector<float> zeros(std::int64_t depth) {
  if (depth < 1) throw UsageError(fmt::format("the Hessian of {} inputs; there is one at least", depth));
  try {
    return std::vector<float>(static_cast<std::size_t>(depth) * static_cast<std::size_t>(depth));
  } catch (const std::exception&) {  // bad_alloc, or length_error
    throw MachineError(fmt::format("no memory for the {} x {} numbers of a Hessian", depth, depth));
  }
}

// What is below the diagonal, to above it.
void mirror(std::vector<float>& sums, std::int64_t depth, unsigned workers) {
  parallel_for(static_cast<std::size_t>((depth + kTurned - 1) / kTurned), workers, nullptr,
               [&](std::size_t strip, unsigned) {
                 const std::int64_t first = static_cast<std::int64_t>(strip) * kTurned;
                 const std::int64_t last = std::min(first + kTurned, depth);
                 for (std::int64_t begin = 0; begin < last; begin += kTurned) {
                   for (std::int64_t j = begin; j < std::min(begin + kTurned, last); ++j) {
                     for (std::int64_t i = std::max(first, j + 1); i < last; ++i)
                       sums[j * depth + i] = sums[i * depth + j];
                   }
                 }
               });
}

}  // namespace

Hessian::Hessian(std::int64_t depth) : depth_(depth), sums_(zeros(depth)) {}

void Hessian::add(std::span<const float> rows, Isa isa, int threads) {
  const std::int64_t count = static_cast<std::int64_t>(rows.size()) / depth_;
  if (static_cast<std::size_t>(count * depth_) != rows.size()) {
    throw UsageError(fmt::format("{} numbers are no whole rows of {} inputs", rows.size(), depth_));
  }
  const auto bad = std::ranges::find_if_not(rows, [](float value) { return std::isfinite(value); });
  if (bad != rows.end()) {
    const std::int64_t place = bad - rows.begin();
    throw InputError(fmt::format("input {} of row {} of calibration data is {}; it must be finite",
                                 place % depth_, rows_seen_ + place / depth_,
                                 std::isnan(*bad) ? "NaN" : "infinite"));
  }
  if (count == 0) return;
  const unsigned workers = worker_count(threads);
  add_product(
      {rows.data(), depth_, rows.data(), depth_, sums_.data(), depth_, depth_, depth_, count, 1.0F, true},
      isa, workers);
  mirror(sums_, depth_, workers);
  rows_seen_ += count;
}

std::vector<float> Hessian::mean_squares() const {
  std::vector<float> means(static_cast<std::size_t>(depth_));
  for (std::int64_t k = 0; k < depth_ && rows_seen_ > 0; ++k)
    means[static_cast<std::size_t>(k)] = sums_[k * depth_ + k] / static_cast<float>(rows_seen_);
  return means;
}

}  // namespace qvl
