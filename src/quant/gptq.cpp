#include "quant/gptq.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/parallel.h"
#include "kernels/dense_cholesky.h"
#include "kernels/dense_product.h"
#include "quant/gptq_panel.h"
#include "quant/scale_search.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::int64_t kChunk = 256;  // output channels that a thread rounds at a time
constexpr double kLeastDamping = 1e-4;
constexpr int kMostTries = 30;
constexpr std::int64_t kLines = 64;  // of a matrix that a thread does at a time

void check_arguments(const WeightLayout& layout, const Hessian& hessian, const GptqOptions& options) {
  if (layout.matrices != 1) {
    throw UsageError(fmt::format("{} matrices with one Hessian; GPTQ takes one at a time", layout.matrices));
  }
  if (hessian.depth() != layout.depth) {
    throw UsageError(fmt::format("a Hessian of {} inputs for weights of {}", hessian.depth(), layout.depth));
  }
  if (!(options.damping >= 0 && options.damping <= 1e6) || options.panel < 1) {
    throw UsageError(
        fmt::format("damping {} and panels of {} inputs; damping is a number of 0 to 1000000, a panel has "
                    "an input at least",
                    options.damping, options.panel));
  }
}

template <class Work>
void for_lines(std::int64_t lines, unsigned workers, const Work& work) {
  parallel_for(static_cast<std::size_t>((lines + kLines - 1) / kLines), workers, nullptr,
               [&](std::size_t piece, unsigned) {
                 const std::int64_t begin = static_cast<std::int64_t>(piece) * kLines;
                 for (std::int64_t i = begin; i < std::min(begin + kLines, lines); ++i) work(i);
               });
}

// Inputs in the order of the factor: the last is visited first, so that with the lower factor of the matrix
// in this order, H = L L^T, errors go from each line to the columns before it.
std::vector<std::int64_t> order_of(const Hessian& hessian, bool largest_first) {
  const std::int64_t depth = hessian.depth();
  std::vector<std::int64_t> order(static_cast<std::size_t>(depth));
  std::iota(order.begin(), order.end(), 0);
  if (largest_first) {
    std::ranges::stable_sort(order, [&](std::int64_t a, std::int64_t b) {
      return hessian.sums()[a * depth + a] > hessian.sums()[b * depth + b];
    });
  }
  std::ranges::reverse(order);
  return order;
}

// The lower triangle in that order, its live diagonal's mean being 1. The products of an input that was
// always zero are zero, too (or as good as that, where only its squares vanished).
void gather(const Hessian& hessian, const std::vector<std::int64_t>& order, double mean, double damping,
            unsigned workers, std::vector<float>& out) {
  const std::int64_t depth = hessian.depth();
  const auto factor = static_cast<float>(1 / mean);
  for_lines(depth, workers, [&](std::int64_t i) {
    const std::int64_t from = order[static_cast<std::size_t>(i)];
    const float* in = hessian.sums().data() + from * depth;
    float* line = out.data() + i * depth;
    for (std::int64_t j = 0; j < i; ++j) line[j] = in[order[static_cast<std::size_t>(j)]] * factor;
    line[i] = in[from] == 0 ? 1.0F : static_cast<float>(in[from] / mean + damping);
  });
}

// [depth, depth], below the diagonal: what of an input's error (the line) is added to each that is visited
// later.
std::vector<float> carry_factors(const Hessian& hessian, const std::vector<std::int64_t>& order,
                                 double damping, Isa isa, unsigned workers) {
  const std::int64_t depth = hessian.depth();
  double sum = 0;
  std::int64_t live = 0;
  for (std::int64_t k = 0; k < depth; ++k) {
    const double square = hessian.sums()[k * depth + k];
    sum += square;
    live += square != 0 ? 1 : 0;
  }
  const double mean = live == 0 ? 1 : sum / static_cast<double>(live);
  std::vector<float> factors(static_cast<std::size_t>(depth * depth));
  bool done = false;
  for (int i = 0; i < kMostTries && !done && std::isfinite(mean); ++i) {
    gather(hessian, order, mean, damping, workers, factors);
    done = factor_cholesky(factors, depth, isa, workers);
    damping = std::max(kLeastDamping, damping * 10);
  }
  if (!done) {
    throw InputError(
        "the sums of products of a unit's inputs are beyond the range of f32; its activations on the "
        "calibration data are too large for GPTQ");
  }
  std::vector<float> reciprocals(static_cast<std::size_t>(depth));
  for (std::int64_t k = 0; k < depth; ++k)
    reciprocals[static_cast<std::size_t>(k)] = 1.0F / factors[k * depth + k];
  for_lines(depth, workers, [&](std::int64_t i) {
    float* line = factors.data() + i * depth;
    for (std::int64_t j = 0; j < i; ++j) line[j] *= reciprocals[static_cast<std::size_t>(j)];
  });
  return factors;
}

// What a rounding error of each input costs when the inputs after it make up for as much of it as they can:
// the squares of the factor's diagonal.
std::vector<float> importance_of(const Hessian& hessian, const std::vector<std::int64_t>& order,
                                 const std::vector<float>& factors) {
  const std::int64_t depth = hessian.depth();
  std::vector<float> importance(static_cast<std::size_t>(depth));
  for (std::int64_t i = 0; i < depth; ++i) {
    const std::int64_t k = order[static_cast<std::size_t>(i)];
    const float root = factors[i * depth + i];
    const bool dead = hessian.sums()[k * depth + k] == 0;
    importance[static_cast<std::size_t>(k)] = dead ? 0.0F : root * root;
  }
  return importance;
}

class Rounding {
 public:
  Rounding(QuantizedWeights& result, std::span<const float> in, std::span<const std::int64_t> order,
           std::span<const float> factors, std::int64_t panel, Isa isa, unsigned workers)
      : result_(result),
        in_(in),
        order_(order),
        factors_(factors),
        rows_(result.layout.rows),
        depth_(result.layout.depth),
        panel_(std::min(panel, depth_)),
        isa_(isa),
        workers_(workers),
        carried_(static_cast<std::size_t>(rows_ * depth_)),
        errors_(static_cast<std::size_t>(rows_ * panel_)) {
    const std::int64_t blocks = result.format.blocks(depth_);
    scales_.resize(result.scales.size());
    for (std::int64_t row = 0; row < rows_; ++row) {
      for (std::int64_t b = 0; b < blocks; ++b) scales_[b * rows_ + row] = result.scales[row * blocks + b];
    }
  }

  void run() {
    const auto chunks = static_cast<std::size_t>((rows_ + kChunk - 1) / kChunk);
    std::vector<Room> rooms(std::min<std::size_t>(workers_, chunks));
    for (std::int64_t end = depth_; end > 0; end -= panel_) {
      const std::int64_t begin = std::max<std::int64_t>(0, end - panel_);
      parallel_for(chunks, workers_, nullptr, [&](std::size_t chunk, unsigned worker) {
        round_chunk(begin, end, static_cast<std::int64_t>(chunk) * kChunk, rooms[worker]);
      });
      add_product({factors_.data() + begin * depth_, depth_, errors_.data(), rows_, carried_.data(), rows_,
                   begin, rows_, end - begin},
                  isa_, workers_);
    }
  }

 private:
  // Of one thread, for a panel and a chunk.
  struct Room {
    std::vector<float> weights;
    std::vector<std::int8_t> levels;
    std::vector<const float*> scales;
  };

  void round_chunk(std::int64_t begin, std::int64_t end, std::int64_t row, Room& room) {
    const std::int64_t inputs = end - begin;
    const std::int64_t channels = std::min(kChunk, rows_ - row);
    const Format& format = result_.format;
    room.weights.resize(static_cast<std::size_t>(inputs * channels));
    room.levels.resize(room.weights.size());
    room.scales.resize(static_cast<std::size_t>(inputs));
    for (std::int64_t i = 0; i < inputs; ++i) {
      const std::int64_t block = format.block == 0 ? 0 : input(begin + i) / format.block;
      room.scales[static_cast<std::size_t>(i)] = scales_.data() + block * rows_ + row;
    }
    each_weight(begin, inputs, row, channels, [&](std::int64_t at, std::size_t place) {
      room.weights[static_cast<std::size_t>(at)] = in_[place];
    });
    round_panel({&format, inputs, channels, room.weights.data(), room.scales.data(),
                 factors_.data() + begin * depth_ + begin, depth_, carried_.data() + begin * rows_ + row,
                 errors_.data() + row, rows_, room.levels.data()},
                isa_);
    each_weight(begin, inputs, row, channels, [&](std::int64_t at, std::size_t place) {
      result_.levels[place] = room.levels[static_cast<std::size_t>(at)];
    });
  }

  [[nodiscard]] std::int64_t input(std::int64_t place) const {
    return order_[static_cast<std::size_t>(place)];
  }

  // Calls visit(place in the room, place in the weight) in an order that suits the weight's memory.
  template <class Visit>
  void each_weight(std::int64_t begin, std::int64_t inputs, std::int64_t row, std::int64_t channels,
                   const Visit& visit) const {
    if (result_.layout.axis == DepthAxis::strided) {
      for (std::int64_t i = 0; i < inputs; ++i) {
        const std::size_t line = result_.layout.index(0, row, input(begin + i));
        for (std::int64_t n = 0; n < channels; ++n)
          visit(i * channels + n, line + static_cast<std::size_t>(n));
      }
      return;
    }
    for (std::int64_t n = 0; n < channels; ++n) {
      for (std::int64_t i = 0; i < inputs; ++i)
        visit(i * channels + n, result_.layout.index(0, row + n, input(begin + i)));
    }
  }

  QuantizedWeights& result_;
  std::span<const float> in_;
  std::span<const std::int64_t> order_;
  std::span<const float> factors_;
  std::int64_t rows_;
  std::int64_t depth_;
  std::int64_t panel_;
  Isa isa_;
  unsigned workers_;
  std::vector<float> carried_;  // [depth, rows], in the order of the factor
  std::vector<float> errors_;   // [panel, rows]
  std::vector<float> scales_;   // [blocks, rows]
};

}  // namespace

QuantizedWeights quantize_gptq(const WeightLayout& layout, const Format& format, std::span<const float> in,
                               const Hessian& hessian, const GptqOptions& options, Isa isa, int threads) {
  check_arguments(layout, hessian, options);
  if (layout.elements() == 0) return quantize_weights(layout, format, in, isa, threads);
  const unsigned workers = worker_count(threads);
  const std::vector<std::int64_t> order = order_of(hessian, options.largest_first);
  const std::vector<float> factors = carry_factors(hessian, order, options.damping, isa, workers);
  QuantizedWeights result =
      options.least_squares
          ? quantize_least_squares(layout, format, in, importance_of(hessian, order, factors), isa, threads)
          : quantize_weights(layout, format, in, isa, threads);
  Rounding(result, in, order, factors, options.panel, isa, workers).run();
  return result;
}

}  // namespace qvl
