#include "engine/text_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/convert.h"
#include "qvl/error.h"

namespace qvl {

TextDecoder::TextDecoder(const std::filesystem::path& artifact, const ModelFacts& facts,
                         const SessionOptions& options)
    : session_(artifact, options), facts_(facts) {
  std::vector<PortSpec> inputs;
  for (const TensorInfo& input : session_.inputs()) inputs.push_back({input.name, input.dtype, {}});
  const auto ports = DecoderPorts::of(inputs);
  const auto is_logits = [](const TensorInfo& output) { return output.name == "logits"; };
  if (!ports || std::ranges::none_of(session_.outputs(), is_logits)) {
    throw InputError(fmt::format(
        "{} is no text artifact: inputs input_ids and attention_mask and an output logits are expected",
        artifact.string()));
  }
  ports_ = *ports;
  inputs_ = DecoderInputs::of(TokenBatch::of_row({}), {}, ports_, facts_);
}

void TextDecoder::begin(std::span<const std::int64_t> ids, std::span<const Tensor> picture_features) {
  std::vector<TensorView> features;
  for (const Tensor& tensor : picture_features) features.push_back(tensor.view());
  inputs_ = DecoderInputs::of(TokenBatch::of_row(ids), features, ports_, facts_);
}

void TextDecoder::append(std::int64_t id) { inputs_.append(id); }

std::vector<float> TextDecoder::next_logits(const CancelToken* cancel) const {
  const Tensor last = logits_from(inputs_.tokens.length() - 1, cancel);
  const std::span<const float> values = last.as<float>();
  return {values.begin(), values.end()};
}

Tensor TextDecoder::logits_from(std::int64_t first, const CancelToken* cancel) const {
  const std::int64_t length = inputs_.tokens.length();
  if (first < 0 || first >= length)
    throw UsageError(fmt::format("logits from position {} of a sequence of {} tokens", first, length));
  const OutputTensor logits = std::move(session_.run(inputs_.named(), {"logits"}, cancel).front());
  const Shape& shape = logits.shape();
  if (shape.size() != 3 || shape[0] != 1 || shape[1] != length || shape[2] == 0 ||
      (logits.dtype() != DType::f16 && logits.dtype() != DType::f32)) {
    throw InputError(fmt::format("{} gives logits {} {}; F16 or F32 [1, {}, vocab] is expected",
                                 session_.path().string(), name(logits.dtype()), to_string(shape), length));
  }
  Tensor rows(DType::f32, {length - first, shape[2]});
  const std::size_t bytes = static_cast<std::size_t>(rows.count()) * size_bytes(logits.dtype());
  convert(logits.dtype(), logits.bytes().last(bytes), DType::f32, rows.bytes());
  if (!std::ranges::all_of(rows.as<float>(), [](float x) { return std::isfinite(x); })) {
    throw InputError(fmt::format(
        "{} gives logits that are not finite after {} tokens; the weights are broken, or too large "
        "for f16 (then export with --text-dtype f32)",
        session_.path().string(), length));
  }
  return rows;
}

}  // namespace qvl
