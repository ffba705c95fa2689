// The passes of ResizeKernels for one vector instruction set; see kernels/lanes.h. Included by
// resize_kernels.cpp alone, which defines kNarrower before: the kernels for what is too small for a vector.
//
// Pixels are multiplied in 16 bits, by the high and by the low part of the weights.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "image/resize_kernels.h"

namespace qvl::QVL_ISA {
namespace {

using L = Lanes;
using Bytes = L::Bytes;

constexpr std::int64_t kVectorRows = L::kBytes / 32;  // of the pass along rows

struct Sums {
  Bytes high;
  Bytes low;
};

QVL_STEP void add_products(Sums& sums, Bytes pairs, Bytes weight_high, Bytes weight_low) {
  sums.high = L::add_32(sums.high, L::multiply_pairs(pairs, weight_high));
  sums.low = L::add_32(sums.low, L::multiply_pairs(pairs, weight_low));
}

QVL_STEP Bytes joined(const Sums& sums) {
  return L::add_32(L::shift_left_32<BicubicWeights::kLowBits>(sums.high), sums.low);
}

// Rounded, not clamped yet.
QVL_STEP Bytes whole(Bytes sum) {
  return L::shift_right_32<BicubicWeights::kPrecisionBits>(L::add_32(sum, L::all_32(BicubicWeights::kHalf)));
}

template <class Integer>
QVL_STEP Integer loaded(const std::int16_t* weights) {
  Integer several;
  std::memcpy(&several, weights, sizeof(several));
  return several;
}

// Of four weights the first two everywhere in the even blocks, the other two everywhere in the odd ones.
QVL_STEP Bytes load_four_weights(const std::int16_t* weights) {
  alignas(32) static constexpr std::int8_t kPlaces[32] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,
                                                          4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7};
  return L::pick(L::all_64(loaded<std::int64_t>(weights)), L::load_repeated(kPlaces));
}

// Four pixels of each row as pairs of 16-bit values, for four weights: of the first two pixels (r r, g g,
// b b, 0 0) in the row's even block, of the other two in its odd one.
QVL_STEP Bytes load_pixels(const std::uint8_t* pixels, std::int64_t stride) {
  alignas(32) static constexpr std::int8_t kPlaces[32] = {
      0, -1, 3, -1, 1, -1, 4,  -1, 2, -1, 5,  -1, -1, -1, -1, -1,  //
      6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1};
  return L::pick(L::load_twice(pixels, stride), L::load_repeated(kPlaces));
}

// One pixel; with `spill` also a byte behind it, which the next pixel overwrites.
QVL_STEP void store_pixel(std::int32_t pixel, bool spill, std::uint8_t* out) {
  std::memcpy(out, &pixel, 3);
  if (spill) std::memcpy(out, &pixel, 4);
}

// A pixel of each row.
QVL_STEP void store_pixels(const Sums& sums, bool spill, std::uint8_t* out,
                           [[maybe_unused]] std::int64_t stride) {
  const Bytes halves = joined(sums);
  const Bytes words = whole(L::add_32(halves, L::swap_blocks(halves)));
  const Bytes shorts = L::narrow_32(words, words);
  const Bytes pixels = L::narrow_16(shorts, shorts);
  store_pixel(L::first_of_block<0>(pixels), spill, out);
  if constexpr (kVectorRows == 2) store_pixel(L::first_of_block<2>(pixels), spill, out + stride);
}

// Rows from y on, kVectorRows in each vector.
template <int kVectors>
QVL_STEP void resize_row_group(const RowPass& pass, std::int64_t y) {
  const BicubicWeights& w = *pass.weights;
  const std::int64_t in_stride = pass.in_width * 3;
  const std::int64_t out_stride = pass.out_width * 3;
  const std::uint8_t* in = pass.in + y * in_stride;
  std::uint8_t* out = pass.out + y * out_stride;
  for (std::int64_t x = 0; x < pass.out_width; ++x) {
    const std::uint8_t* pixel = in + std::int64_t{w.first[static_cast<std::size_t>(x)]} * 3;
    const std::int64_t start = x * w.taps;
    const std::int64_t count = w.count[static_cast<std::size_t>(x)];
    Sums sums[kVectors] = {};
    for (std::int64_t t = 0; t < count; t += 4, pixel += 12) {
      const Bytes weight_high = load_four_weights(w.high.data() + start + t);
      const Bytes weight_low = load_four_weights(w.low.data() + start + t);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v)
        add_products(sums[v], load_pixels(pixel + v * kVectorRows * in_stride, in_stride), weight_high,
                     weight_low);
    }
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      store_pixels(sums[v], x + 1 < pass.out_width, out + v * kVectorRows * out_stride + x * 3, out_stride);
    }
  }
}

QVL_TARGET void resize_rows(const RowPass& pass) {
  std::int64_t y = 0;
  for (; y + 4 * kVectorRows <= pass.rows; y += 4 * kVectorRows) resize_row_group<4>(pass, y);
  for (; y + kVectorRows <= pass.rows; y += kVectorRows) resize_row_group<1>(pass, y);
  if (y == pass.rows) return;
  RowPass rest = pass;
  rest.in += y * pass.in_width * 3;
  rest.out += y * pass.out_width * 3;
  rest.rows -= y;
  kNarrower.rows(rest);
}

// L::kBytes neighbouring bytes of an output row, in the order of L::mix_low and L::mix_high.
QVL_STEP void resize_column_block(const std::uint8_t* in, std::int64_t stride, std::int64_t count,
                                  const std::int16_t* high, const std::int16_t* low, std::uint8_t* out) {
  const Bytes zero = L::all_32(0);
  Sums sums[4] = {};
  for (std::int64_t t = 0; t < count; t += 2) {
    const std::uint8_t* line = in + t * stride;
    const Bytes a = L::load_bytes(line);
    const Bytes b = L::load_bytes(t + 1 < count ? line + stride : line);  // its weight is zero then
    const Bytes first = L::mix_low(a, b);
    const Bytes second = L::mix_high(a, b);
    const Bytes weight_high = L::all_32(loaded<std::int32_t>(high + t));
    const Bytes weight_low = L::all_32(loaded<std::int32_t>(low + t));
    add_products(sums[0], L::mix_low(first, zero), weight_high, weight_low);
    add_products(sums[1], L::mix_high(first, zero), weight_high, weight_low);
    add_products(sums[2], L::mix_low(second, zero), weight_high, weight_low);
    add_products(sums[3], L::mix_high(second, zero), weight_high, weight_low);
  }
  L::store_bytes(out, L::narrow_16(L::narrow_32(whole(joined(sums[0])), whole(joined(sums[1]))),
                                   L::narrow_32(whole(joined(sums[2])), whole(joined(sums[3])))));
}

QVL_TARGET void resize_columns(const ColumnPass& pass) {
  const std::int64_t stride = pass.row_bytes;
  if (stride < L::kBytes) {
    kNarrower.columns(pass);
    return;
  }
  const BicubicWeights& w = *pass.weights;
  for (std::int64_t y = 0; y < pass.out_rows; ++y) {
    const std::uint8_t* in = pass.in + std::int64_t{w.first[static_cast<std::size_t>(y)]} * stride;
    const std::int64_t count = w.count[static_cast<std::size_t>(y)];
    const std::int16_t* high = w.high.data() + y * w.taps;
    const std::int16_t* low = w.low.data() + y * w.taps;
    for (std::int64_t start = 0; start < stride; start += L::kBytes) {
      const std::int64_t x = std::min(start, stride - L::kBytes);  // the last block overlaps
      resize_column_block(in + x, stride, count, high, low, pass.out + y * stride + x);
    }
  }
}

constexpr ResizeKernels kResize{resize_rows, resize_columns, 16};

}  // namespace
}  // namespace qvl::QVL_ISA
