#include "quant/weight_kernels.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <vector>

#include "core/parallel.h"
#include "quant/loop_hint.h"
#include "quant/weight_rule.h"
#include "qvl/error.h"

namespace qvl {
namespace {

using weight_rule::key_of;
using weight_rule::kFirstNotFinite;
using weight_rule::Step;

constexpr std::size_t kNone = SIZE_MAX;
constexpr std::int64_t kTileColumns = 2048;         // whose keys and scales are on the stack
constexpr std::int64_t kTileBytes = 512 * 1024;     // read twice, so kept in the second-level cache
constexpr std::int64_t kLeastTileColumns = 256;     // or memory is read in pieces too short
constexpr std::int64_t kPieceElements = 64 * 1024;  // a piece of work for a thread

// Rows and depth of one matrix that a thread does at a time; depth starts at a block.
struct Piece {
  std::int64_t matrix;
  std::int64_t row_begin;
  std::int64_t row_end;
  std::int64_t depth_begin;
  std::int64_t depth_end;
};

struct ValueSink {
  float* out;
  QVL_ALWAYS_INLINE void put(std::int64_t i, std::int32_t level, float scale) const {
    out[i] = static_cast<float>(level) * scale;
  }
};

struct LevelSink {
  std::int8_t* levels;
  QVL_ALWAYS_INLINE void put(std::int64_t i, std::int32_t level, float /*scale*/) const {
    levels[i] = static_cast<std::int8_t>(level);
  }
};

QVL_ALWAYS_INLINE std::size_t first_not_finite(const float* in, std::int64_t begin, std::int64_t count) {
  for (std::int64_t i = begin; i < begin + count; ++i) {
    if (key_of(in[i]) >= kFirstNotFinite) return static_cast<std::size_t>(i);
  }
  return kNone;
}

// One output channel's part with one scale, of `count` weights from `begin` on. Returns the place of a weight
// that is not finite; nothing is written then.
template <class Rule, class Sink>
QVL_ALWAYS_INLINE std::size_t run_span(const WeightWork& work, Sink sink, std::int64_t begin,
                                       std::int64_t count, std::int64_t scale_index) {
  const float* in = work.in + begin;
  std::uint32_t largest = 0;
  for (std::int64_t i = 0; i < count; ++i) largest = std::max(largest, key_of(in[i]));
  if (largest >= kFirstNotFinite) [[unlikely]]
    return first_not_finite(work.in, begin, count);
  const Step step = Rule::step(largest);
  QVL_SAME_ELEMENT_ONLY
  for (std::int64_t i = 0; i < count; ++i) sink.put(begin + i, Rule::level(in[i], step), step.scale);
  if (work.scales != nullptr) work.scales[scale_index] = step.scale;
  return kNone;
}

template <class Rule, class Sink>
QVL_ALWAYS_INLINE std::size_t run_contiguous(const WeightWork& work, Sink sink, const Piece& piece) {
  const WeightLayout& layout = work.layout;
  const std::int64_t block = work.format.block == 0 ? layout.depth : work.format.block;
  const std::int64_t blocks = work.format.blocks(layout.depth);
  std::size_t bad = kNone;
  for (std::int64_t row = piece.row_begin; row < piece.row_end; ++row) {
    const auto start = static_cast<std::int64_t>(layout.index(piece.matrix, row, 0));
    const std::int64_t first_scale = (piece.matrix * layout.rows + row) * blocks;
    for (std::int64_t k = piece.depth_begin; k < piece.depth_end; k += block) {
      const std::int64_t count = std::min(block, piece.depth_end - k);
      // A constant number of turns saves most of what a short loop costs.
      const std::int64_t scale_index = first_scale + k / block;
      const std::size_t found = count == 32   ? run_span<Rule>(work, sink, start + k, 32, scale_index)
                                : count == 16 ? run_span<Rule>(work, sink, start + k, 16, scale_index)
                                : count == 64 ? run_span<Rule>(work, sink, start + k, 64, scale_index)
                                              : run_span<Rule>(work, sink, start + k, count, scale_index);
      bad = std::min(bad, found);
    }
  }
  return bad;
}

// Columns side by side, each with one scale for its `count` weights, the first of which is at `begin`.
template <class Rule, class Sink>
QVL_ALWAYS_INLINE std::size_t run_tile(const WeightWork& work, Sink sink, std::int64_t begin,
                                       std::int64_t columns, std::int64_t count, std::int64_t first_scale,
                                       std::int64_t scale_stride) {
  alignas(64) std::array<std::uint32_t, kTileColumns> largest;
  alignas(64) std::array<float, kTileColumns> scale;
  alignas(64) std::array<float, kTileColumns> factor;
  const std::int64_t stride = work.layout.rows;
  for (std::int64_t c = 0; c < columns; ++c) largest[c] = 0;
  for (std::int64_t k = 0; k < count; ++k) {
    const float* in = work.in + begin + k * stride;
    for (std::int64_t c = 0; c < columns; ++c) largest[c] = std::max(largest[c], key_of(in[c]));
  }
  std::uint32_t most = 0;
  for (std::int64_t c = 0; c < columns; ++c) most = std::max(most, largest[c]);
  if (most >= kFirstNotFinite) [[unlikely]] {
    std::size_t bad = kNone;
    for (std::int64_t k = 0; k < count; ++k)
      bad = std::min(bad, first_not_finite(work.in, begin + k * stride, columns));
    return bad;
  }
  for (std::int64_t c = 0; c < columns; ++c) {
    const Step step = Rule::step(largest[c]);
    scale[c] = step.scale;
    factor[c] = step.factor;
  }
  for (std::int64_t k = 0; k < count; ++k) {
    const std::int64_t line = begin + k * stride;
    const float* in = work.in + line;
    QVL_SAME_ELEMENT_ONLY
    for (std::int64_t c = 0; c < columns; ++c)
      sink.put(line + c, Rule::level(in[c], {scale[c], factor[c]}), scale[c]);
  }
  if (work.scales != nullptr) {
    for (std::int64_t c = 0; c < columns; ++c) work.scales[first_scale + c * scale_stride] = scale[c];
  }
  return kNone;
}

std::int64_t tile_columns(std::int64_t count) {
  const std::int64_t fitting =
      kTileBytes / static_cast<std::int64_t>(sizeof(float)) / std::max<std::int64_t>(count, 1);
  return std::clamp(fitting / kLeastTileColumns * kLeastTileColumns, kLeastTileColumns, kTileColumns);
}

template <class Rule, class Sink>
QVL_ALWAYS_INLINE std::size_t run_strided(const WeightWork& work, Sink sink, const Piece& piece) {
  const WeightLayout& layout = work.layout;
  const std::int64_t block = work.format.block == 0 ? layout.depth : work.format.block;
  const std::int64_t blocks = work.format.blocks(layout.depth);
  std::size_t bad = kNone;
  for (std::int64_t k = piece.depth_begin; k < piece.depth_end; k += block) {
    const std::int64_t count = std::min(block, piece.depth_end - k);
    const std::int64_t width = tile_columns(count);
    for (std::int64_t row = piece.row_begin; row < piece.row_end; row += width) {
      const auto begin = static_cast<std::int64_t>(layout.index(piece.matrix, row, k));
      const std::int64_t first_scale = (piece.matrix * layout.rows + row) * blocks + k / block;
      bad = std::min(bad, run_tile<Rule>(work, sink, begin, std::min(width, piece.row_end - row), count,
                                         first_scale, blocks));
    }
  }
  return bad;
}

template <class Rule>
QVL_ALWAYS_INLINE std::size_t run_rule(const WeightWork& work, const Piece& piece) {
  const bool contiguous = work.layout.axis == DepthAxis::contiguous;
  if (work.out != nullptr) {
    const ValueSink sink{work.out};
    return contiguous ? run_contiguous<Rule>(work, sink, piece) : run_strided<Rule>(work, sink, piece);
  }
  const LevelSink sink{work.levels};
  return contiguous ? run_contiguous<Rule>(work, sink, piece) : run_strided<Rule>(work, sink, piece);
}

QVL_ALWAYS_INLINE std::size_t run_piece(const WeightWork& work, const Piece& piece) {
  if (work.format.block == 0) return run_rule<weight_rule::Symmetric>(work, piece);
  return work.format.bits == 8 ? run_rule<weight_rule::Middle<128>>(work, piece)
                               : run_rule<weight_rule::Middle<8>>(work, piece);
}

// Of a piece whose depth is strided: keys[i] = the largest of it and of the keys of the piece's row i.
QVL_ALWAYS_INLINE void fold_keys(const WeightWork& work, const Piece& piece, std::uint32_t* keys) {
  for (std::int64_t row = piece.row_begin; row < piece.row_end; row += kTileColumns) {
    std::uint32_t* largest = keys + (row - piece.row_begin);
    const std::int64_t columns = std::min(kTileColumns, piece.row_end - row);
    for (std::int64_t k = piece.depth_begin; k < piece.depth_end; ++k) {
      const float* in = work.in + work.layout.index(piece.matrix, row, k);
      for (std::int64_t c = 0; c < columns; ++c) largest[c] = std::max(largest[c], key_of(in[c]));
    }
  }
}

template <class Sink>
QVL_ALWAYS_INLINE void put_lines(const WeightWork& work, Sink sink, const Piece& piece, const float* scales) {
  for (std::int64_t k = piece.depth_begin; k < piece.depth_end; ++k) {
    const auto line = static_cast<std::int64_t>(work.layout.index(piece.matrix, piece.row_begin, k));
    const float* in = work.in + line;
    const std::int64_t columns = piece.row_end - piece.row_begin;
    QVL_SAME_ELEMENT_ONLY
    for (std::int64_t c = 0; c < columns; ++c) {
      const Step step{scales[c], scales[c]};
      sink.put(line + c, weight_rule::Symmetric::level(in[c], step), step.scale);
    }
  }
}

QVL_ALWAYS_INLINE void put_piece(const WeightWork& work, const Piece& piece, const float* scales) {
  if (work.out != nullptr) {
    put_lines(work, ValueSink{work.out}, piece, scales);
  } else {
    put_lines(work, LevelSink{work.levels}, piece, scales);
  }
}

struct Kernels {
  std::size_t (*run)(const WeightWork&, const Piece&);
  void (*fold)(const WeightWork&, const Piece&, std::uint32_t*);
  void (*put)(const WeightWork&, const Piece&, const float*);
};
std::size_t run_scalar(const WeightWork& work, const Piece& piece) { return run_piece(work, piece); }
void fold_scalar(const WeightWork& work, const Piece& piece, std::uint32_t* keys) {
  fold_keys(work, piece, keys);
}
void put_scalar(const WeightWork& work, const Piece& piece, const float* scales) {
  put_piece(work, piece, scales);
}
constexpr Kernels kScalar{run_scalar, fold_scalar, put_scalar};
#if QVL_X86
QVL_TARGET_AVX2 std::size_t run_avx2(const WeightWork& work, const Piece& piece) {
  return run_piece(work, piece);
}
QVL_TARGET_AVX2 void fold_avx2(const WeightWork& work, const Piece& piece, std::uint32_t* keys) {
  fold_keys(work, piece, keys);
}
QVL_TARGET_AVX2 void put_avx2(const WeightWork& work, const Piece& piece, const float* scales) {
  put_piece(work, piece, scales);
}
QVL_TARGET_AVX512 std::size_t run_avx512(const WeightWork& work, const Piece& piece) {
  return run_piece(work, piece);
}
// Memory is the limit of long columns: wider vectors, more of which cross a cache line, only lose there.
constexpr std::array<Kernels, 3> kKernels{
    {kScalar, {run_avx2, fold_avx2, put_avx2}, {run_avx512, fold_avx2, put_avx2}}};
#else
constexpr std::array<Kernels, 3> kKernels{kScalar, kScalar, kScalar};
#endif

// How a matrix is cut: the same for any number of threads.
struct Cut {
  std::int64_t row_step;
  std::int64_t depth_step;
  std::int64_t row_pieces;
  std::int64_t depth_pieces;
};

std::int64_t pieces_of(std::int64_t whole, std::int64_t step) { return (whole + step - 1) / step; }

Cut cut_of(const WeightLayout& layout, std::int64_t block) {
  Cut cut{};
  if (layout.axis == DepthAxis::strided) {
    const std::int64_t unit = block == 0 ? layout.depth : std::min(block, layout.depth);
    // Whole lines of memory where they are short enough.
    cut.row_step =
        std::max(tile_columns(unit), kPieceElements / unit / kLeastTileColumns * kLeastTileColumns);
    cut.depth_step = unit;
  } else {
    cut.row_step = std::max<std::int64_t>(1, kPieceElements / layout.depth);
    cut.depth_step = block == 0 ? layout.depth : block * std::max<std::int64_t>(1, kPieceElements / block);
  }
  cut.row_pieces = pieces_of(layout.rows, cut.row_step);
  cut.depth_pieces = pieces_of(layout.depth, cut.depth_step);
  return cut;
}

[[noreturn]] void refuse(const WeightLayout& layout, std::size_t place, float value) {
  const auto at = static_cast<std::int64_t>(place);
  const std::int64_t matrix = at / (layout.rows * layout.depth);
  const std::int64_t inside = at % (layout.rows * layout.depth);
  const bool contiguous = layout.axis == DepthAxis::contiguous;
  throw InputError(fmt::format("weight {} of output channel {}{} is {}; only finite weights can be quantized",
                               contiguous ? inside % layout.depth : inside / layout.rows,
                               contiguous ? inside / layout.depth : inside % layout.rows,
                               layout.matrices > 1 ? fmt::format(" of matrix {}", matrix) : "",
                               std::isnan(value) ? "NaN" : "infinite"));
}

// In one pass over the memory: what is read twice is still in a cache.
std::size_t run_pieces(const WeightWork& work, const Kernels& kernels, unsigned workers) {
  const WeightLayout& layout = work.layout;
  const Cut cut = cut_of(layout, work.format.block);
  const std::int64_t per_matrix = cut.row_pieces * cut.depth_pieces;
  std::atomic<std::size_t> bad{kNone};
  parallel_for(static_cast<std::size_t>(layout.matrices * per_matrix), workers, nullptr,
               [&](std::size_t number, unsigned) {
                 const auto n = static_cast<std::int64_t>(number);
                 const std::int64_t row = n % per_matrix % cut.row_pieces * cut.row_step;
                 const std::int64_t depth = n % per_matrix / cut.row_pieces * cut.depth_step;
                 const std::size_t found =
                     kernels.run(work, {n / per_matrix, row, std::min(row + cut.row_step, layout.rows), depth,
                                        std::min(depth + cut.depth_step, layout.depth)});
                 for (std::size_t least = bad; found < least && !bad.compare_exchange_weak(least, found);) {
                 }
               });
  return bad;
}

// Columns too long for a tile in a cache: one pass for the scales, one for the rest, each in the order of
// memory.
std::size_t run_long_columns(const WeightWork& work, const Kernels& kernels, unsigned workers) {
  const WeightLayout& layout = work.layout;
  const std::int64_t depth_step = std::max<std::int64_t>(1, kPieceElements / layout.rows);
  const std::int64_t per_matrix = pieces_of(layout.depth, depth_step);
  const auto pieces = static_cast<std::size_t>(layout.matrices * per_matrix);
  const auto piece_of = [&](std::size_t number) {
    const auto n = static_cast<std::int64_t>(number);
    const std::int64_t depth = n % per_matrix * depth_step;
    return Piece{n / per_matrix, 0, layout.rows, depth, std::min(depth + depth_step, layout.depth)};
  };
  const auto columns = static_cast<std::size_t>(layout.matrices * layout.rows);
  std::vector<std::vector<std::uint32_t>> keys(std::min<std::size_t>(workers, pieces),
                                               std::vector<std::uint32_t>(columns));
  parallel_for(pieces, workers, nullptr, [&](std::size_t number, unsigned worker) {
    const Piece piece = piece_of(number);
    kernels.fold(work, piece, keys[worker].data() + piece.matrix * layout.rows);
  });
  std::vector<float> scales(columns);
  for (std::size_t c = 0; c < columns; ++c) {
    std::uint32_t largest = 0;
    for (const auto& of_worker : keys) largest = std::max(largest, of_worker[c]);
    if (largest >= kFirstNotFinite)
      return first_not_finite(work.in, 0, static_cast<std::int64_t>(layout.elements()));
    scales[c] = weight_rule::Symmetric::step(largest).scale;
  }
  parallel_for(pieces, workers, nullptr, [&](std::size_t number, unsigned) {
    const Piece piece = piece_of(number);
    kernels.put(work, piece, scales.data() + piece.matrix * layout.rows);
  });
  if (work.scales != nullptr) std::ranges::copy(scales, work.scales);
  return kNone;
}

}  // namespace

void run_weight_kernels(const WeightWork& work, Isa isa, int threads) {
  const WeightLayout& layout = work.layout;
  if (layout.elements() == 0) return;
  const Kernels& kernels = kKernels[static_cast<std::size_t>(isa)];
  const bool long_columns =
      layout.axis == DepthAxis::strided && work.format.block == 0 &&
      layout.depth > kTileBytes / static_cast<std::int64_t>(sizeof(float)) / kLeastTileColumns;
  const std::size_t bad =
      (long_columns ? run_long_columns : run_pieces)(work, kernels, worker_count(threads));
  if (bad != kNone) refuse(layout, bad, work.in[bad]);
}

}  // namespace qvl
