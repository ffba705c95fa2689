// The reference implementation's outputs, and how close ours must come to them.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "runtime/session.h"

namespace qvl::test {

// tests/data/goldens/NAME.json and NAME.safetensors.
class Golden {
 public:
  explicit Golden(const std::string& checkpoint);
  [[nodiscard]] const nlohmann::json& inputs() const { return inputs_; }
  // The tensor as f32, whatever its floating type.
  [[nodiscard]] std::vector<float> floats(const std::string& key) const;
  [[nodiscard]] std::vector<std::int64_t> integers(const std::string& key) const;
  [[nodiscard]] bool has(const std::string& key) const { return tensors_.contains(key); }

 private:
  nlohmann::json inputs_;
  std::map<std::string, Tensor> tensors_;
};

// A batch of rows of equal length as an i64 tensor [rows, length].
Tensor batch(const nlohmann::json& rows);

// Any floating tensor as f32.
std::vector<float> to_floats(const TensorView& tensor);

// Largest absolute difference divided by the largest absolute value of `expected`. NaN anywhere gives
// infinity.
double relative_difference(const std::vector<float>& found, const std::vector<float>& expected);

// Positions of the logits [rows, vocab] at which the argmax differs although the two highest expected logits
// are more than `gap` apart.
std::vector<std::size_t> argmax_mismatches(const std::vector<float>& found,
                                           const std::vector<float>& expected, std::size_t vocab, float gap);

// The picture of tests/data/images as the fixed-size vision artifact takes it.
Tensor pixel_values(const std::string& picture, std::int64_t width, std::int64_t height);

// image_embeds [rows, length, hidden] of the given dtype: the features, one after the other, at the image
// tokens.
Tensor image_embeds(const Tensor& input_ids, const std::vector<float>& features, std::int64_t hidden,
                    std::int64_t image_token_id, DType dtype);

}  // namespace qvl::test
