#include <cstring>

#define QVL_LANES_TARGET
#include "kernels/dense_steps.h"

namespace qvl {
namespace {

// What the build's baseline has: vectors of 4 in the compilers' own notation.
struct Lanes {
  using V = float __attribute__((vector_size(16)));
  static constexpr std::int64_t kWidth = 4;
  static constexpr std::int64_t kRows = 4;

  QVL_STEP static V load(const float* p) {
    V x;
    std::memcpy(&x, p, sizeof(x));
    return x;
  }
  QVL_STEP static void store(float* p, V x) { std::memcpy(p, &x, sizeof(x)); }
  QVL_STEP static V all(float x) { return V{x, x, x, x}; }
  QVL_STEP static V multiply_add(V a, V b, V c) { return a * b + c; }
};

}  // namespace

constexpr DenseKernels kDenseScalar = dense_kernels_of<Lanes>();

}  // namespace qvl
