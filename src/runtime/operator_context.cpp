#include "runtime/operator_context.h"

#include <fmt/format.h>

#include <utility>

#include "runtime/library.h"
#include "runtime/ort_handle.h"

namespace qvl {
std::optional<AttentionOperand> operand(const OrtKernelContext& context, std::size_t index,
                                        const char* doing) {
  std::size_t count = 0;
  check(ort_api().KernelContext_GetInputCount(&context, &count), doing);
  if (index >= count) return std::nullopt;
  const OrtValue* value = nullptr;
  check(ort_api().KernelContext_GetInput(&context, index, &value), doing);
  if (value == nullptr) return std::nullopt;
  OrtTensorTypeAndShapeInfo* raw = nullptr;
  check(ort_api().GetTensorTypeAndShape(value, &raw), doing);
  const OrtHandle<OrtTensorTypeAndShapeInfo> info(raw);
  std::size_t rank = 0;
  check(ort_api().GetDimensionsCount(raw, &rank), doing);
  AttentionOperand found;
  found.shape.resize(rank);
  check(ort_api().GetDimensions(raw, found.shape.data(), rank), doing);
  void* data = nullptr;
  check(ort_api().GetTensorMutableData(const_cast<OrtValue*>(value), &data), doing);
  found.values = static_cast<const float*>(data);
  return found;
}

AttentionOperand needed_operand(const OrtKernelContext& context, std::size_t index, const char* doing) {
  auto found = operand(context, index, doing);
  if (!found) throw InputError(fmt::format("{}: operand {} is left out", doing, index + 1));
  return std::move(*found);
}

std::span<float> result(OrtKernelContext& context, const Shape& shape, const char* doing) {
  OrtValue* value = nullptr;
  check(ort_api().KernelContext_GetOutput(&context, 0, shape.data(), shape.size(), &value), doing);
  void* data = nullptr;
  check(ort_api().GetTensorMutableData(value, &data), doing);
  return {static_cast<float*>(data), static_cast<std::size_t>(element_count(shape).value())};
}

OrtCustomOp f32_operator() {
  OrtCustomOp op{};
  op.version = ORT_API_VERSION;
  op.GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };
  op.GetInputType = [](const OrtCustomOp*, std::size_t) { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; };
  op.GetInputCharacteristic = [](const OrtCustomOp*, std::size_t) { return INPUT_OUTPUT_REQUIRED; };
  op.GetInputMemoryType = [](const OrtCustomOp*, std::size_t) { return OrtMemTypeDefault; };
  op.GetOutputTypeCount = [](const OrtCustomOp*) -> std::size_t { return 1; };
  op.GetOutputType = [](const OrtCustomOp*, std::size_t) { return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT; };
  op.GetOutputCharacteristic = [](const OrtCustomOp*, std::size_t) { return INPUT_OUTPUT_REQUIRED; };
  op.GetStartVersion = [](const OrtCustomOp*) { return 1; };
  op.GetEndVersion = [](const OrtCustomOp*) { return 1; };
  return op;
}

}  // namespace qvl
