#include "runtime/output_tensor.h"

#include <fmt/format.h>
#include <onnxruntime_c_api.h>

#include <utility>

#include "core/dtype.h"
#include "qvl/error.h"
#include "runtime/library.h"

namespace qvl {

OutputTensor::OutputTensor(OrtHandle<OrtValue> value, std::shared_ptr<const void> owner)
    : owner_(std::move(owner)), value_(std::move(value)) {
  const OrtApi& api = RuntimeLibrary::get().api();
  const std::string doing = "reading an output";
  OrtTensorTypeAndShapeInfo* raw = nullptr;
  check(api.GetTensorTypeAndShape(value_.get(), &raw), doing);
  const OrtHandle<OrtTensorTypeAndShapeInfo> info(raw);
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::size_t rank = 0;
  check(api.GetTensorElementType(info.get(), &type), doing);
  check(api.GetDimensionsCount(info.get(), &rank), doing);
  view_.shape.resize(rank);
  check(api.GetDimensions(info.get(), view_.shape.data(), rank), doing);
  const auto dtype = dtype_from_onnx(type);
  const auto count = element_count(view_.shape);
  if (!dtype || !count) {
    throw InputError(fmt::format("an output has element type {} and shape {}, which is not supported",
                                 static_cast<int>(type), to_string(view_.shape)));
  }
  view_.dtype = *dtype;
  void* data = nullptr;
  check(api.GetTensorMutableData(value_.get(), &data), doing);
  view_.bytes = {static_cast<const std::byte*>(data), static_cast<std::size_t>(*count) * size_bytes(*dtype)};
}

Tensor OutputTensor::copy() const { return Tensor::of<std::byte>(view_.dtype, view_.shape, view_.bytes); }

void OutputTensor::check_element_size(std::size_t size) const {
  if (size != size_bytes(view_.dtype)) {
    throw UsageError(fmt::format("elements of type {} take {} bytes, not {}", name(view_.dtype),
                                 size_bytes(view_.dtype), size));
  }
}

}  // namespace qvl
