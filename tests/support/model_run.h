// Runs serialized models with ONNX Runtime.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace qvl::test {

using Tensors = std::map<std::string, Tensor>;

// On one thread, as written; `fused`: with ONNX Runtime's fusions, but none that changes the rounding of
// activations. External data lies beside `place`. All outputs, or those named.
Tensors run_model(std::string_view bytes, const std::filesystem::path& place, const Tensors& inputs,
                  const std::vector<std::string>& outputs = {}, bool fused = false);

Tensor floats_of(const Shape& shape, const std::vector<float>& values);
Tensor halves_of(const Shape& shape, const std::vector<float>& values);
Tensor boolean_of(bool value);
Tensor byte_of(std::uint8_t value);
Tensor integers_of(const Shape& shape, const std::vector<std::int64_t>& values);
std::vector<float> values_of(const Tensor& tensor);

// The largest difference of two f32 tensors as a share of the largest magnitude of the first; infinite when
// shapes or dtypes differ, or when a number is not finite.
double difference(const Tensor& expected, const Tensor& found);

}  // namespace qvl::test
