#include "support/model_run.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/half.h"
#include "runtime/session.h"

namespace qvl::test {

Tensors run_model(std::string_view bytes, const std::filesystem::path& place, const Tensors& inputs,
                  const std::vector<std::string>& outputs, bool fused) {
  SessionOptions options;
  options.threads = 1;
  options.optimization = fused ? GraphOptimization::extended : GraphOptimization::none;
  // Rounding stays what the graph says; weights are taken as they would be if they were inputs.
  options.config = {{"session.disable_quant_qdq", "1"}, {"session.disable_prepacking", "1"}};
  const Session session = Session::from_bytes(bytes, place, options);
  std::vector<NamedTensor> given;
  for (const TensorInfo& input : session.inputs())
    given.push_back({input.name, inputs.at(input.name).view()});
  std::vector<std::string> wanted = outputs;
  if (wanted.empty()) {
    for (const TensorInfo& output : session.outputs()) wanted.push_back(output.name);
  }
  const auto results = session.run(given, wanted);
  Tensors named;
  for (std::size_t i = 0; i < wanted.size(); ++i) named.emplace(wanted[i], results[i].copy());
  return named;
}

Tensor floats_of(const Shape& shape, const std::vector<float>& values) {
  return Tensor::of<float>(DType::f32, shape, values);
}

Tensor halves_of(const Shape& shape, const std::vector<float>& values) {
  std::vector<std::uint16_t> bits;
  for (const float value : values) bits.push_back(to_half(value).bits);
  return Tensor::of<std::uint16_t>(DType::f16, shape, bits);
}

Tensor boolean_of(bool value) {
  return Tensor::of<std::uint8_t>(DType::boolean, {},
                                  std::vector<std::uint8_t>{value ? std::uint8_t{1} : std::uint8_t{0}});
}

Tensor byte_of(std::uint8_t value) { return Tensor::of<std::uint8_t>(DType::u8, {}, std::vector{value}); }

Tensor integers_of(const Shape& shape, const std::vector<std::int64_t>& values) {
  return Tensor::of<std::int64_t>(DType::i64, shape, values);
}

std::vector<float> values_of(const Tensor& tensor) {
  const auto values = tensor.as<float>();
  return {values.begin(), values.end()};
}

double difference(const Tensor& expected, const Tensor& found) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  if (expected.dtype() != DType::f32 || found.dtype() != DType::f32 || expected.shape() != found.shape())
    return kNever;
  double most = 0;
  double largest = 0;
  for (std::size_t i = 0; i < expected.as<float>().size(); ++i) {
    const double a = expected.as<float>()[i];
    const double b = found.as<float>()[i];
    if (!std::isfinite(a) || !std::isfinite(b)) return kNever;
    most = std::max(most, std::abs(a - b));
    largest = std::max(largest, std::abs(a));
  }
  return most == 0 ? 0 : most / largest;
}

}  // namespace qvl::test
