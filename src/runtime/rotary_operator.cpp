#include "runtime/rotary_operator.h"

#include <cstdint>
#include <memory>

#include "kernels/rotary.h"
#include "runtime/operator_context.h"
#include "runtime/ort_handle.h"

namespace qvl {
namespace {

constexpr const char* kDoing = "running qvl.Rotary";

struct Kernel {
  std::int64_t middle = 0;
  std::int64_t axis = -1;
};

OrtStatusPtr ORT_API_CALL compute(void* kernel, OrtKernelContext* context) noexcept {
  return as_status([&] {
    const Kernel& attributes = *static_cast<const Kernel*>(kernel);
    const RotaryInputs inputs{needed_operand(*context, 0, kDoing), needed_operand(*context, 1, kDoing),
                              needed_operand(*context, 2, kDoing), attributes.middle, attributes.axis};
    rotary(inputs, result(*context, rotary_shape(inputs), kDoing));
  });
}

OrtStatusPtr ORT_API_CALL create(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo* info,
                                 void** kernel) noexcept {
  return as_status([&] {
    auto made = std::make_unique<Kernel>();
    const OrtApi& api = RuntimeLibrary::get().api();
    check(api.KernelInfoGetAttribute_int64(info, "middle", &made->middle),
          "qvl.Rotary needs the attribute middle");
    check(api.KernelInfoGetAttribute_int64(info, "axis", &made->axis), "qvl.Rotary needs the attribute axis");
    *kernel = made.release();
  });
}

}  // namespace

OrtCustomOp rotary_operator() {
  OrtCustomOp op = f32_operator();
  op.GetName = [](const OrtCustomOp*) { return "Rotary"; };
  op.GetInputTypeCount = [](const OrtCustomOp*) -> std::size_t { return 3; };
  op.CreateKernelV2 = create;
  op.KernelComputeV2 = compute;
  op.KernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  return op;
}

}  // namespace qvl
