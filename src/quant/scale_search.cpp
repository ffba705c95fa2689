#include "quant/scale_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "quant/weight_rule.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::int64_t kLanes = 16;  // output channels of a tile: a cache line where they stand side by side
constexpr std::int64_t kPieceDepth = 4096;
constexpr int kMostRefinements = 4;

constexpr std::array<float, 29> four_bit_ratios() {
  std::array<float, 29> ratios{};
  for (std::size_t j = 0; j < ratios.size(); ++j) ratios[j] = 1.14F - 0.02F * static_cast<float>(j);
  return ratios;
}
constexpr std::array<float, 23> eight_bit_ratios() {
  std::array<float, 23> ratios{};
  for (std::size_t j = 0; j < 15; ++j) ratios[j] = 1.008F - 0.004F * static_cast<float>(j);
  for (std::size_t j = 15; j < ratios.size(); ++j) ratios[j] = 0.92F - 0.03F * static_cast<float>(j - 15);
  return ratios;
}
constexpr std::array kFourBitRatios = four_bit_ratios();
constexpr std::array kEightBitRatios = eight_bit_ratios();

// Of each output channel of a tile.
template <class T>
struct alignas(64) Lanes {
  std::array<T, kLanes> of{};
  QVL_ALWAYS_INLINE T& operator[](std::int64_t lane) { return of[static_cast<std::size_t>(lane)]; }
  QVL_ALWAYS_INLINE T operator[](std::int64_t lane) const { return of[static_cast<std::size_t>(lane)]; }
};

// Weights that share a scale, of several output channels. Those of no importance are 0, and so are channels
// that are not there.
struct Tile {
  const float* weights;     // [count][kLanes]
  const float* importance;  // [count]
  std::int64_t count;
};

template <class Rule>
QVL_ALWAYS_INLINE void measure(const Tile& tile, const Lanes<float>& scales, Lanes<double>& errors) {
  Lanes<float> factors;
  for (std::int64_t j = 0; j < kLanes; ++j) factors[j] = Rule::of_scale(scales[j]).factor;
  Lanes<double> sums;
  for (std::int64_t k = 0; k < tile.count; ++k) {
    const float* weights = tile.weights + k * kLanes;
    const auto importance = static_cast<double>(tile.importance[k]);
    for (std::int64_t j = 0; j < kLanes; ++j) {
      const float value = static_cast<float>(Rule::level(weights[j], {scales[j], factors[j]})) * scales[j];
      const double error = static_cast<double>(weights[j]) - static_cast<double>(value);
      sums[j] += importance * (error * error);
    }
  }
  errors = sums;
}

// The best scales for the levels that scales give; 0 where there is none.
template <class Rule>
QVL_ALWAYS_INLINE void refine(const Tile& tile, Lanes<float>& scales) {
  Lanes<float> factors;
  for (std::int64_t j = 0; j < kLanes; ++j) factors[j] = Rule::of_scale(scales[j]).factor;
  Lanes<double> products;
  Lanes<double> squares;
  for (std::int64_t k = 0; k < tile.count; ++k) {
    const float* weights = tile.weights + k * kLanes;
    const auto importance = static_cast<double>(tile.importance[k]);
    for (std::int64_t j = 0; j < kLanes; ++j) {
      const auto level = static_cast<float>(Rule::level(weights[j], {scales[j], factors[j]}));
      const double part = importance * static_cast<double>(level);
      products[j] += part * static_cast<double>(weights[j]);
      squares[j] += part * static_cast<double>(level);
    }
  }
  for (std::int64_t j = 0; j < kLanes; ++j)
    scales[j] = squares[j] > 0 ? static_cast<float>(products[j] / squares[j]) : 0.0F;
}

// Where a scale is not usable another takes its place, and the error that is found for it does not count.
template <class Rule>
QVL_ALWAYS_INLINE void replace_unusable(Lanes<float>& scales, const Lanes<float>& other,
                                        Lanes<std::uint32_t>& counts) {
  for (std::int64_t j = 0; j < kLanes; ++j) {
    const bool usable = Rule::usable(scales[j]);
    counts[j] &= usable ? 1U : 0U;
    scales[j] = usable ? scales[j] : other[j];
  }
}

// In: the rule's scales. Out: the best ones.
template <class Rule, class Ratios>
QVL_ALWAYS_INLINE void search(const Tile& tile, const Ratios& ratios, Lanes<float>& best) {
  Lanes<std::uint32_t> largest;
  for (std::int64_t k = 0; k < tile.count; ++k) {
    for (std::int64_t j = 0; j < kLanes; ++j)
      largest[j] = std::max(largest[j], weight_rule::key_of(tile.weights[k * kLanes + j]));
  }
  Lanes<float> start;
  for (std::int64_t j = 0; j < kLanes; ++j) start[j] = Rule::step(largest[j]).scale;
  const Lanes<float> rule = best;
  Lanes<double> least;
  measure<Rule>(tile, rule, least);
  const auto tries = static_cast<int>(ratios.size()) + kMostRefinements;
  for (int i = 0; i < tries; ++i) {
    const bool of_grid = i < static_cast<int>(ratios.size());
    Lanes<float> scales = best;
    for (std::int64_t j = 0; j < kLanes && of_grid; ++j)
      scales[j] = start[j] * ratios[static_cast<std::size_t>(i)];
    Lanes<std::uint32_t> counts;
    counts.of.fill(1);
    replace_unusable<Rule>(scales, rule, counts);
    refine<Rule>(tile, scales);
    replace_unusable<Rule>(scales, rule, counts);
    Lanes<double> errors;
    measure<Rule>(tile, scales, errors);
    for (std::int64_t j = 0; j < kLanes; ++j) {
      if (counts[j] == 0 || !(errors[j] < least[j])) continue;
      least[j] = errors[j];
      best[j] = scales[j];
    }
  }
}

// Output channels and blocks that a thread does at a time.
struct Piece {
  std::int64_t matrix;
  std::int64_t row_begin;
  std::int64_t row_end;
  std::int64_t depth_begin;
  std::int64_t depth_end;
};

struct Work {
  const float* in;
  const float* importance;  // null: all 1
  QuantizedWeights* result;
};

// What a thread copies weights to.
struct Room {
  std::vector<float> weights;     // [count][kLanes]
  std::vector<float> importance;  // [count]
};

// Block `k` to `k + count` of the piece's rows into the room.
void load(const Work& work, const Piece& piece, std::int64_t k, std::int64_t count, Room& room) {
  const WeightLayout& layout = work.result->layout;
  const std::int64_t rows = piece.row_end - piece.row_begin;
  const bool contiguous = layout.axis == DepthAxis::contiguous;
  const std::int64_t row_step = contiguous ? layout.depth : 1;
  const std::int64_t k_step = contiguous ? 1 : layout.rows;
  const float* in = work.in + layout.index(piece.matrix, piece.row_begin, k);
  room.importance.resize(static_cast<std::size_t>(count));
  room.weights.resize(static_cast<std::size_t>(count * kLanes));
  for (std::int64_t i = 0; i < count; ++i) {
    const float importance = work.importance == nullptr ? 1.0F : work.importance[k + i];
    float* line = room.weights.data() + i * kLanes;
    room.importance[static_cast<std::size_t>(i)] = importance;
    const std::int64_t there = importance == 0 ? 0 : rows;
    for (std::int64_t j = 0; j < there; ++j) line[j] = in[j * row_step + i * k_step];
    std::fill(line + there, line + kLanes, 0.0F);
  }
}

template <class Rule>
QVL_ALWAYS_INLINE void store(const Work& work, const Piece& piece, std::int64_t k, std::int64_t count,
                             const float* scales) {
  const WeightLayout& layout = work.result->layout;
  const std::int64_t rows = piece.row_end - piece.row_begin;
  const std::size_t first = layout.index(piece.matrix, piece.row_begin, k);
  const float* in = work.in + first;
  std::int8_t* levels = work.result->levels.data() + first;
  const bool contiguous = layout.axis == DepthAxis::contiguous;
  for (std::int64_t outer = 0; outer < (contiguous ? rows : count); ++outer) {
    const std::int64_t line = outer * (contiguous ? layout.depth : layout.rows);
    if (contiguous) {
      for (std::int64_t i = 0; i < count; ++i)
        levels[line + i] =
            static_cast<std::int8_t>(weight_rule::far_level<Rule>(in[line + i], scales[outer]));
    } else {
      for (std::int64_t i = 0; i < rows; ++i)
        levels[line + i] = static_cast<std::int8_t>(weight_rule::far_level<Rule>(in[line + i], scales[i]));
    }
  }
}

template <class Rule, class Ratios>
QVL_ALWAYS_INLINE void run_rule(const Work& work, const Piece& piece, const Ratios& ratios, Room& room) {
  const WeightLayout& layout = work.result->layout;
  const Format& format = work.result->format;
  const std::int64_t block = format.block == 0 ? layout.depth : format.block;
  const std::int64_t blocks = format.blocks(layout.depth);
  for (std::int64_t k = piece.depth_begin; k < piece.depth_end; k += block) {
    const std::int64_t count = std::min(block, piece.depth_end - k);
    load(work, piece, k, count, room);
    Lanes<float> scales;
    scales.of.fill(1.0F);
    float* stored =
        work.result->scales.data() + (piece.matrix * layout.rows + piece.row_begin) * blocks + k / block;
    const std::int64_t rows = piece.row_end - piece.row_begin;
    for (std::int64_t j = 0; j < rows; ++j) scales[j] = stored[j * blocks];
    search<Rule>({room.weights.data(), room.importance.data(), count}, ratios, scales);
    for (std::int64_t j = 0; j < rows; ++j) stored[j * blocks] = scales[j];
    store<Rule>(work, piece, k, count, scales.of.data());
  }
}

QVL_ALWAYS_INLINE void run_any(const Work& work, const Piece& piece, Room& room) {
  const Format& format = work.result->format;
  if (format.block == 0) {
    run_rule<weight_rule::Symmetric>(work, piece, kEightBitRatios, room);
  } else if (format.bits == 8) {
    run_rule<weight_rule::Middle<128>>(work, piece, kEightBitRatios, room);
  } else {
    run_rule<weight_rule::Middle<8>>(work, piece, kFourBitRatios, room);
  }
}

void run_scalar(const Work& work, const Piece& piece, Room& room) { run_any(work, piece, room); }
#if QVL_X86
QVL_TARGET_AVX2 void run_avx2(const Work& work, const Piece& piece, Room& room) {
  run_any(work, piece, room);
}
QVL_TARGET_AVX512 void run_avx512(const Work& work, const Piece& piece, Room& room) {
  run_any(work, piece, room);
}
constexpr std::array kRun{run_scalar, run_avx2, run_avx512};
#else
constexpr std::array kRun{run_scalar, run_scalar, run_scalar};
#endif

void check_importance(const WeightLayout& layout, std::span<const float> importance) {
  if (!importance.empty() && importance.size() != static_cast<std::size_t>(layout.depth)) {
    throw UsageError(
        fmt::format("importance of {} inputs for weights of {}", importance.size(), layout.depth));
  }
  for (std::size_t k = 0; k < importance.size(); ++k) {
    if (!(importance[k] >= 0) || std::isinf(importance[k])) {
      throw InputError(fmt::format("the importance of input {} is {}; it must be finite, and not negative", k,
                                   importance[k]));
    }
  }
}

}  // namespace

QuantizedWeights quantize_least_squares(const WeightLayout& layout, const Format& format,
                                        std::span<const float> in, std::span<const float> importance, Isa isa,
                                        int threads) {
  check_importance(layout, importance);
  QuantizedWeights result = quantize_weights(layout, format, in, isa, threads);
  if (result.levels.empty()) return result;
  const std::int64_t block = format.block == 0 ? layout.depth : format.block;
  const std::int64_t step = block * std::max<std::int64_t>(1, kPieceDepth / block);
  const std::int64_t row_pieces = (layout.rows + kLanes - 1) / kLanes;
  const std::int64_t per_matrix = row_pieces * ((layout.depth + step - 1) / step);
  const unsigned workers = worker_count(threads);
  std::vector<Room> rooms(workers);
  const Work work{in.data(), importance.empty() ? nullptr : importance.data(), &result};
  const auto run = kRun[static_cast<std::size_t>(isa)];
  parallel_for(static_cast<std::size_t>(layout.matrices * per_matrix), workers, nullptr,
               [&](std::size_t number, unsigned worker) {
                 const auto n = static_cast<std::int64_t>(number);
                 const std::int64_t row = n % per_matrix % row_pieces * kLanes;
                 const std::int64_t depth = n % per_matrix / row_pieces * step;
                 run(work,
                     {n / per_matrix, row, std::min(row + kLanes, layout.rows), depth,
                      std::min(depth + step, layout.depth)},
                     rooms[worker]);
               });
  return result;
}

}  // namespace qvl
