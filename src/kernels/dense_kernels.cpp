#include "kernels/dense_kernels.h"

#include "kernels/lanes.h"

#define QVL_ISA scalar
#include "kernels/dense_steps.h"
#undef QVL_ISA
#if QVL_X86
#define QVL_ISA avx2
#include "kernels/dense_steps.h"
#undef QVL_ISA
#define QVL_ISA avx512
#include "kernels/dense_steps.h"
#undef QVL_ISA
#endif

namespace qvl {

const DenseKernels& dense_kernels([[maybe_unused]] Isa isa) {
#if QVL_X86
  if (isa == Isa::avx512) return avx512::kDense;
  if (isa == Isa::avx2) return avx2::kDense;
#endif
  return scalar::kDense;
}

}  // namespace qvl
