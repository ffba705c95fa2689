#include "kernels/attention_kernels.h"

#include "kernels/lanes.h"

#define QVL_ISA scalar
#include "kernels/attention_steps.h"
#undef QVL_ISA
#if QVL_X86
#define QVL_ISA avx2
#include "kernels/attention_steps.h"
#undef QVL_ISA
#define QVL_ISA avx512
#include "kernels/attention_steps.h"
#undef QVL_ISA
#endif

namespace qvl {

const AttentionKernels& attention_kernels([[maybe_unused]] Isa isa) {
#if QVL_X86
  if (isa == Isa::avx512) return avx512::kAttention;
  if (isa == Isa::avx2) return avx2::kAttention;
#endif
  return scalar::kAttention;
}

}  // namespace qvl
