#include "runtime/attention_operator.h"

#include <onnxruntime_c_api.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>

#include "core/attention.h"
#include "qvl/error.h"
#include "runtime/block_attention.h"
#include "runtime/library.h"
#include "runtime/ort_handle.h"

namespace qvl {
namespace {

constexpr const char* kDoing = "running qvl.Attention";
constexpr std::size_t kMask = 3;
constexpr std::size_t kInputs = 4;

const OrtApi& api() { return RuntimeLibrary::get().api(); }

struct Kernel {
  float scale = 1.0F;
  bool zero_for_nan = false;
  std::optional<BlockAttention> steps;
};

// Exceptions must not pass through ONNX Runtime.
template <class Work>
OrtStatusPtr as_status(Work work) noexcept {
  try {
    work();
    return nullptr;
  } catch (const std::bad_alloc&) {
    return api().CreateStatus(ORT_FAIL, "bad_alloc");  // a fault of the machine: see check()
  } catch (const InputError& error) {
    return api().CreateStatus(ORT_INVALID_ARGUMENT, error.what());
  } catch (const std::exception& error) {
    return api().CreateStatus(ORT_FAIL, error.what());
  }
}

std::optional<AttentionOperand> operand(const OrtKernelContext& context, std::size_t index) {
  std::size_t count = 0;
  check(api().KernelContext_GetInputCount(&context, &count), kDoing);
  if (index >= count) return std::nullopt;
  const OrtValue* value = nullptr;
  check(api().KernelContext_GetInput(&context, index, &value), kDoing);
  if (value == nullptr) return std::nullopt;
  OrtTensorTypeAndShapeInfo* raw = nullptr;
  check(api().GetTensorTypeAndShape(value, &raw), kDoing);
  const OrtHandle<OrtTensorTypeAndShapeInfo> info(raw);
  std::size_t rank = 0;
  check(api().GetDimensionsCount(raw, &rank), kDoing);
  AttentionOperand found;
  found.shape.resize(rank);
  check(api().GetDimensions(raw, found.shape.data(), rank), kDoing);
  void* data = nullptr;
  check(api().GetTensorMutableData(const_cast<OrtValue*>(value), &data), kDoing);
  found.values = static_cast<const float*>(data);
  return found;
}

AttentionOperand needed_operand(const OrtKernelContext& context, std::size_t index) {
  auto found = operand(context, index);
  if (!found) throw InputError("attention: q, k transposed and v are needed");
  return std::move(*found);
}

OrtStatusPtr ORT_API_CALL compute(void* kernel, OrtKernelContext* context) noexcept {
  return as_status([&] {
    const Kernel& attributes = *static_cast<const Kernel*>(kernel);
    const AttentionInputs inputs{needed_operand(*context, 0),
                                 needed_operand(*context, 1),
                                 needed_operand(*context, 2),
                                 operand(*context, kMask),
                                 attributes.scale,
                                 attributes.zero_for_nan};
    const Shape shape = attention_shape(inputs);
    OrtValue* value = nullptr;
    check(api().KernelContext_GetOutput(context, 0, shape.data(), shape.size(), &value), kDoing);
    void* data = nullptr;
    check(api().GetTensorMutableData(value, &data), kDoing);
    const std::span<float> out(static_cast<float*>(data),
                               static_cast<std::size_t>(element_count(shape).value()));
    if (attributes.steps && attributes.steps->run(*context, inputs, out)) return;
    attention(inputs, out);
  });
}

OrtStatusPtr ORT_API_CALL create(const OrtCustomOp*, const OrtApi*, const OrtKernelInfo* info,
                                 void** kernel) noexcept {
  return as_status([&] {
    auto made = std::make_unique<Kernel>();
    check(api().KernelInfoGetAttribute_float(info, "scale", &made->scale),
          "qvl.Attention needs the attribute scale");
    std::int64_t zero_for_nan = 0;
    check(api().KernelInfoGetAttribute_int64(info, "zero_for_nan", &zero_for_nan),
          "qvl.Attention needs the attribute zero_for_nan");
    made->zero_for_nan = zero_for_nan != 0;
    std::int64_t steps = 0;
    check(api().KernelInfoGetAttribute_int64(info, "steps", &steps),
          "qvl.Attention needs the attribute steps");
    if (steps != 0) made->steps.emplace(*info);
    *kernel = made.release();
  });
}

OrtCustomOp attention_operator() {
  OrtCustomOp op{};
  op.version = ORT_API_VERSION;
  op.GetName = [](const OrtCustomOp*) { return "Attention"; };
  op.GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };
  op.GetInputTypeCount = [](const OrtCustomOp*) { return kInputs; };
  op.GetInputType = [](const OrtCustomOp*, std::size_t) { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; };
  op.GetInputCharacteristic = [](const OrtCustomOp*, std::size_t index) {
    return index == kMask ? INPUT_OUTPUT_OPTIONAL : INPUT_OUTPUT_REQUIRED;
  };
  op.GetInputMemoryType = [](const OrtCustomOp*, std::size_t) { return OrtMemTypeDefault; };
  op.GetOutputTypeCount = [](const OrtCustomOp*) -> std::size_t { return 1; };
  op.GetOutputType = [](const OrtCustomOp*, std::size_t) { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; };
  op.GetOutputCharacteristic = [](const OrtCustomOp*, std::size_t) { return INPUT_OUTPUT_REQUIRED; };
  op.GetStartVersion = [](const OrtCustomOp*) { return 1; };
  op.GetEndVersion = [](const OrtCustomOp*) { return 1; };
  op.CreateKernelV2 = create;
  op.KernelComputeV2 = compute;
  op.KernelDestroy = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  return op;
}

OrtCustomOpDomain* make_domain() {
  static const OrtCustomOp op = attention_operator();
  OrtCustomOpDomain* domain = nullptr;
  const std::string doing = "making the operators of domain qvl known";
  check(api().CreateCustomOpDomain("qvl", &domain), doing);
  check(api().CustomOpDomain_Add(domain, &op), doing);
  return domain;
}

}  // namespace

void add_own_operators(OrtSessionOptions& options) {
  static OrtCustomOpDomain* const domain = make_domain();  // sessions refer to it as long as they live
  check(api().AddCustomOpDomain(&options, domain), "making the operators of domain qvl known");
}

}  // namespace qvl
