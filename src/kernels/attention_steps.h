// The steps of AttentionKernels for one instruction set; see kernels/lanes.h. Included by attention_kernels.cpp
// alone.
//
// Exponential: Cody and Waite's reduction by ln 2 in two parts and a polynomial of degree 6 that is minimax
// in relative error on [-ln 2 / 2, ln 2 / 2] with constant term 1 (2.6e-9; 1 ulp with the roundings).
#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>

#include "kernels/attention_kernels.h"

namespace qvl::QVL_ISA {
namespace {

using L = Lanes;

// For x <= 0 and NaN.
QVL_STEP void exponential(L::Floats& x) {
  const auto t = L::fma(x, L::all(1.44269504F), L::all(0x1.8p23F));
  const auto n = L::sub(t, L::all(0x1.8p23F));
  auto r = L::fma(n, L::all(-0.693359375F), x);
  r = L::fma(n, L::all(2.12194440e-4F), r);
  auto p = L::fma(r, L::all(0.00140614226F), L::all(0.00837905904F));
  p = L::fma(p, r, L::all(0.0416647733F));
  p = L::fma(p, r, L::all(0.166663648F));
  p = L::fma(p, r, L::all(0.500000044F));
  p = L::fma(p, r, L::all(1.00000005F));
  p = L::fma(p, r, L::all(1.0F));
  x = L::scale_by_exp2(p, t, n, x, kExpFloor);
}

QVL_STEP float first_of(L::Floats x) {
  std::array<float, L::kWidth> values;
  L::store(values.data(), x);
  return values[0];
}

QVL_STEP float greatest_of(L::Floats x) {
  std::array<float, L::kWidth> values;
  L::store(values.data(), x);
  float result = values[0];
  for (const float value : values) result = value > result ? value : result;
  return result;
}

QVL_STEP float sum_of(L::Floats x) {
  std::array<float, L::kWidth> values;
  L::store(values.data(), x);
  for (std::size_t half = L::kWidth / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) values[i] += values[i + half];
  }
  return values[0];
}

QVL_TARGET void score(const float* q, const float* k, std::size_t depth, std::size_t panels, float* scores) {
  constexpr std::size_t kRows = L::kTileRows;
  for (std::size_t panel = 0; panel < panels; ++panel) {
    L::Floats left[kRows];
    L::Floats right[kRows];
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kRows; ++r) left[r] = right[r] = L::all(0.0F);
    const float* q_row = q;
    for (std::size_t i = 0; i < depth; ++i) {
      const auto k_left = L::load(k);
      const auto k_right = L::load(k + L::kWidth);
#pragma GCC unroll 16
      for (std::size_t r = 0; r < kRows; ++r) {
        const auto factor = L::all(q_row[r]);
        left[r] = L::fma(factor, k_left, left[r]);
        right[r] = L::fma(factor, k_right, right[r]);
      }
      k += 2 * L::kWidth;
      q_row += kRows;
    }
    float* const out = scores + panel * 2 * L::kWidth;
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kRows; ++r) {
      L::store(out + r * kScoreStride, left[r]);
      L::store(out + r * kScoreStride + L::kWidth, right[r]);
    }
  }
}

template <std::size_t kVectors>
QVL_STEP void mix_panel(const float* weights, const float* v, std::size_t keys, const float* factor,
                        float* out) {
  constexpr std::size_t kRows = L::kTileRows;
  L::Floats left[kRows];
  L::Floats right[kRows];
#pragma GCC unroll 16
  for (std::size_t r = 0; r < kRows; ++r) {
    const auto shrink = L::all(factor[r]);
    left[r] = L::fma(L::load(out + r * kVectors * L::kWidth), shrink, L::all(0.0F));
    if constexpr (kVectors == 2)
      right[r] = L::fma(L::load(out + r * kVectors * L::kWidth + L::kWidth), shrink, L::all(0.0F));
  }
  for (std::size_t key = 0; key < keys; ++key) {
    const auto v_left = L::load(v);
    auto v_right = v_left;
    if constexpr (kVectors == 2) v_right = L::load(v + L::kWidth);
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kRows; ++r) {
      const auto weight = L::all(weights[r * kScoreStride + key]);
      left[r] = L::fma(weight, v_left, left[r]);
      if constexpr (kVectors == 2) right[r] = L::fma(weight, v_right, right[r]);
    }
    v += kVectors * L::kWidth;
  }
#pragma GCC unroll 16
  for (std::size_t r = 0; r < kRows; ++r) {
    L::store(out + r * kVectors * L::kWidth, left[r]);
    if constexpr (kVectors == 2) L::store(out + r * kVectors * L::kWidth + L::kWidth, right[r]);
  }
}

QVL_TARGET void mix(const float* weights, const float* v, std::size_t keys, std::size_t vectors,
                    const float* factor, float* out) {
  if (vectors == 2) {
    mix_panel<2>(weights, v, keys, factor, out);
  } else {
    mix_panel<1>(weights, v, keys, factor, out);
  }
}

// The row becomes score + mask, with minus infinity behind its last key; returns its greatest.
QVL_STEP float mask_row(float* row, const float* mask, std::size_t keys, std::size_t vectors) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  const std::size_t whole = keys / (2 * L::kWidth) * 2;
  auto even = L::all(kNone);
  auto odd = even;
  std::size_t i = 0;
  for (; i < whole; i += 2) {
    float* const at = row + i * L::kWidth;
    auto x = L::load(at);
    auto y = L::load(at + L::kWidth);
    if (mask != nullptr) {
      x = L::add(x, L::load(mask + i * L::kWidth));
      y = L::add(y, L::load(mask + (i + 1) * L::kWidth));
      L::store(at, x);
      L::store(at + L::kWidth, y);
    }
    even = L::greater(x, even);
    odd = L::greater(y, odd);
  }
  for (; i < vectors; ++i) {
    const std::size_t behind = i * L::kWidth;
    const std::size_t count = keys > behind ? std::min(keys - behind, L::kWidth) : 0;
    auto x = L::part(row + behind, count, kNone);
    if (mask != nullptr && count > 0) x = L::add(x, L::part(mask + behind, count, 0.0F));
    L::store(row + behind, x);
    even = L::greater(x, even);
  }
  return greatest_of(L::greater(even, odd));
}

QVL_TARGET void weigh(float* scores, const float* mask, std::size_t mask_stride, std::size_t rows,
                      std::size_t keys, float* greatest, float* sum, float* factor) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  const std::size_t vectors = (keys + 2 * L::kWidth - 1) / (2 * L::kWidth) * 2;
  for (std::size_t r = 0; r < rows; ++r) {
    float* const row = scores + r * kScoreStride;
    const float here = mask_row(row, mask == nullptr ? nullptr : mask + r * mask_stride, keys, vectors);
    const float top = here > greatest[r] ? here : greatest[r];
    const float base = top == kNone ? 0.0F : top;  // infinity less infinity is no number
    auto shrink = L::all(greatest[r] - base);
    exponential(shrink);
    const auto bases = L::all(base);
    auto even = L::all(0.0F);
    auto odd = even;
    for (std::size_t i = 0; i < vectors; i += 2) {
      auto x = L::sub(L::load(row + i * L::kWidth), bases);
      auto y = L::sub(L::load(row + (i + 1) * L::kWidth), bases);
      exponential(x);
      exponential(y);
      L::store(row + i * L::kWidth, x);
      L::store(row + (i + 1) * L::kWidth, y);
      even = L::add(even, x);
      odd = L::add(odd, y);
    }
    factor[r] = first_of(shrink);
    sum[r] = sum[r] * factor[r] + sum_of(L::add(even, odd));
    greatest[r] = top;
  }
}

QVL_TARGET MaskRange mask_range(const float* mask, std::size_t stride, std::size_t rows, std::size_t keys) {
  constexpr float kEndless = std::numeric_limits<float>::infinity();
  const auto zero = L::all(0.0F);
  auto greatest = L::all(-kEndless);
  auto greatest_negated = greatest;
  auto positive = zero;  // a sum, so that a NaN, which the other two do not see, stays in it
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < keys; i += L::kWidth) {
      const float* const at = mask + r * stride + i;
      const auto x = keys - i >= L::kWidth ? L::load(at) : L::part(at, keys - i, at[0]);
      greatest = L::greater(x, greatest);
      greatest_negated = L::greater(L::sub(zero, x), greatest_negated);
      positive = L::add(positive, L::greater(zero, x));
    }
  }
  const float sum = sum_of(positive);
  return {-greatest_of(greatest_negated), sum == sum ? greatest_of(greatest) : kEndless};
}

constexpr AttentionKernels kAttention{L::kWidth, L::kTileRows, score, weigh, mix, mask_range};

}  // namespace
}  // namespace qvl::QVL_ISA
