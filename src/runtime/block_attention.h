// Attention by ONNX Runtime's own MatMul and Softmax, a few rows of queries after the other, so that their
// scores stay in the second-level cache. Internal to this layer.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/attention.h"
#include "kernels/attention_layout.h"
#include "runtime/ort_handle.h"

struct OrtKernelContext;
struct OrtKernelInfo;

namespace qvl {

// The bits are those of the same steps over all rows at once: ONNX Runtime's kernels add up each row by
// itself, in an order that does not depend on how many rows there are (but for a single one, which is not
// taken alone). Keys that the mask closes to all rows of a block are left out: they would weigh exactly 0,
// and the sums of what is left stay in order. Only with finite keys and values, and where numbers that are
// denormal are 0. Thread-safe.
class BlockAttention {
 public:
  explicit BlockAttention(const OrtKernelInfo& info);

  // Without scale and zero_for_nan. `out` has as many floats as attention_shape() has elements. False, with
  // nothing written, for operands that broadcast inside a row or a key. Throws as check() does.
  [[nodiscard]] bool run(const OrtKernelContext& context, const AttentionInputs& inputs,
                         std::span<float> out) const;

 private:
  class Run;

  OrtHandle<OrtMemoryInfo> memory_;
  OrtHandle<OrtOp> product_;
  OrtHandle<OrtOp> softmax_;
};

}  // namespace qvl
