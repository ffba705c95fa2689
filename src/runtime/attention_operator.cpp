#include "runtime/attention_operator.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "kernels/attention.h"
#include "runtime/block_attention.h"
#include "runtime/library.h"
#include "runtime/operator_context.h"
#include "runtime/ort_handle.h"

namespace qvl {
namespace {

constexpr const char* kDoing = "running qvl.Attention";
constexpr std::size_t kMask = 3;
constexpr std::size_t kInputs = 4;

struct Kernel {
  float scale = 1.0F;
  bool zero_for_nan = false;
  std::optional<BlockAttention> steps;
};

OrtStatusPtr ORT_API_CALL compute(void* kernel, OrtKernelContext* context) noexcept {
  return as_status([&] {
    const Kernel& attributes = *static_cast<const Kernel*>(kernel);
    const AttentionInputs inputs{needed_operand(*context, 0, kDoing),
                                 needed_operand(*context, 1, kDoing),
                                 needed_operand(*context, 2, kDoing),
                                 operand(*context, kMask, kDoing),
                                 attributes.scale,
                                 attributes.zero_for_nan};
    const std::span<float> out = result(*context, attention_shape(inputs), kDoing);
    if (attributes.steps && attributes.steps->run(*context, inputs, out)) return;
    attention(inputs, out);
  });
}

OrtStatusPtr ORT_API_CALL create(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo* info,
                                 void** kernel) noexcept {
  return as_status([&] {
    auto made = std::make_unique<Kernel>();
    check(ort_api().KernelInfoGetAttribute_float(info, "scale", &made->scale),
          "qvl.Attention needs the attribute scale");
    std::int64_t zero_for_nan = 0;
    check(ort_api().KernelInfoGetAttribute_int64(info, "zero_for_nan", &zero_for_nan),
          "qvl.Attention needs the attribute zero_for_nan");
    made->zero_for_nan = zero_for_nan != 0;
    std::int64_t steps = 0;
    check(ort_api().KernelInfoGetAttribute_int64(info, "steps", &steps),
          "qvl.Attention needs the attribute steps");
    if (steps != 0) made->steps.emplace(*info);
    *kernel = made.release();
  });
}

}  // namespace

OrtCustomOp attention_operator() {
  OrtCustomOp op = f32_operator();
  op.GetName = [](const OrtCustomOp*) { return "Attention"; };
  op.GetInputTypeCount = [](const OrtCustomOp*) { return kInputs; };
  op.GetInputCharacteristic = [](const OrtCustomOp*, std::size_t index) {
    return index == kMask ? INPUT_OUTPUT_OPTIONAL : INPUT_OUTPUT_REQUIRED;
  };
  op.CreateKernelV2 = create;
  op.KernelComputeV2 = compute;
  op.KernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  return op;
}

}  // namespace qvl
