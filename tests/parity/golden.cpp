#include "parity/golden.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "checkpoint/preprocessor_config.h"
#include "checkpoint/safetensors.h"
#include "core/convert.h"
#include "core/json_text.h"
#include "image/decode.h"
#include "image/resize.h"
#include "models/picture_pixels.h"
#include "support/test_data.h"

namespace qvl::test {

Golden::Golden(const std::string& checkpoint)
    : inputs_(read_json_file(data("goldens/" + checkpoint + ".json"))) {
  const SafetensorsFile file(data("goldens/" + checkpoint + ".safetensors"));
  for (const TensorEntry& entry : file.entries()) {
    const TensorView view = file.tensor(entry);
    tensors_.emplace(entry.name, Tensor::of<std::byte>(view.dtype, view.shape, view.bytes));
  }
}

std::vector<float> Golden::floats(const std::string& key) const { return to_floats(tensors_.at(key).view()); }

std::vector<std::int64_t> Golden::integers(const std::string& key) const {
  const auto values = tensors_.at(key).as<std::int64_t>();
  return {values.begin(), values.end()};
}

Tensor batch(const nlohmann::json& rows) {
  std::vector<std::int64_t> values;
  for (const auto& row : rows) {
    for (const auto& value : row) values.push_back(value.get<std::int64_t>());
  }
  const auto count = static_cast<std::int64_t>(rows.size());
  return Tensor::of<std::int64_t>(DType::i64, {count, static_cast<std::int64_t>(values.size()) / count},
                                  values);
}

std::vector<float> to_floats(const TensorView& tensor) {
  std::vector<float> values(tensor.bytes.size() / size_bytes(tensor.dtype));
  convert(tensor.dtype, tensor.bytes, DType::f32, std::as_writable_bytes(std::span(values)));
  return values;
}

double relative_difference(const std::vector<float>& found, const std::vector<float>& expected) {
  if (found.size() != expected.size() || found.empty()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  double largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double difference = std::abs(static_cast<double>(found[i]) - expected[i]);
    if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, difference);
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
  }
  return worst / largest;
}

std::vector<std::size_t> argmax_mismatches(const std::vector<float>& found,
                                           const std::vector<float>& expected, std::size_t vocab, float gap) {
  std::vector<std::size_t> mismatches;
  for (std::size_t row = 0; row < expected.size() / vocab; ++row) {
    const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(row * vocab);
    const auto best = std::max_element(begin, begin + static_cast<std::ptrdiff_t>(vocab));
    float second = std::numeric_limits<float>::lowest();
    for (auto it = begin; it != begin + static_cast<std::ptrdiff_t>(vocab); ++it) {
      if (it != best) second = std::max(second, *it);
    }
    if (*best - second <= gap) continue;
    const auto mine = found.begin() + static_cast<std::ptrdiff_t>(row * vocab);
    const auto size = static_cast<std::ptrdiff_t>(vocab);
    if (std::max_element(mine, mine + size) - mine != best - begin) {
      mismatches.push_back(row);
    }
  }
  return mismatches;
}

Tensor pixel_values(const std::string& picture, std::int64_t width, std::int64_t height) {
  const RgbImage image = resize_bicubic(read_image(data("images/" + picture)), {height, width});
  return normalised_pixels(image, PreprocessorConfig{});
}

Tensor image_embeds(const Tensor& input_ids, const std::vector<float>& features, std::int64_t hidden,
                    std::int64_t image_token_id, DType dtype) {
  Tensor wide(DType::f32, {input_ids.shape()[0], input_ids.shape()[1], hidden});
  const auto width = static_cast<std::size_t>(hidden);
  std::size_t row = 0;
  const auto ids = input_ids.as<std::int64_t>();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] != image_token_id) continue;
    std::copy_n(features.begin() + static_cast<std::ptrdiff_t>(row % (features.size() / width) * width),
                width, wide.as<float>().begin() + static_cast<std::ptrdiff_t>(i * width));
    ++row;
  }
  Tensor result(dtype, wide.shape());
  convert(DType::f32, wide.bytes(), dtype, result.bytes());
  return result;
}

}  // namespace qvl::test
