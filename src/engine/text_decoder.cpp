#include "engine/text_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/convert.h"
#include "core/half.h"
#include "qvl/error.h"

namespace qvl {

TextDecoder::TextDecoder(const std::filesystem::path& artifact, const SessionOptions& options)
    : session_(artifact, options) {
  bool takes_ids = false;
  bool takes_mask = false;
  for (const TensorInfo& input : session_.inputs()) {
    takes_ids = takes_ids || input.name == "input_ids";
    if (input.name == "image_embeds") {
      takes_images_ = true;
      embeds_dtype_ = input.dtype;
    }
    if (input.name == "attention_mask") {
      takes_mask = true;
      mask_dtype_ = input.dtype;
    }
  }
  const auto is_logits = [](const TensorInfo& output) { return output.name == "logits"; };
  if (!takes_ids || !takes_mask || std::ranges::none_of(session_.outputs(), is_logits)) {
    throw InputError(fmt::format(
        "{} is no text artifact: inputs input_ids and attention_mask and an output logits are expected",
        artifact.string()));
  }
}

void TextDecoder::begin(std::span<const std::int64_t> ids, std::span<const Tensor> picture_features,
                        std::int64_t image_token_id, std::int64_t hidden_size) {
  hidden_size_ = hidden_size;
  ids_.assign(ids.begin(), ids.end());
  embeds_.clear();
  std::int64_t rows = 0;
  for (const Tensor& features : picture_features) {
    if (features.dtype() != DType::f32 || features.shape().size() != 2 ||
        features.shape()[1] != hidden_size) {
      throw InputError(fmt::format(
          "the vision artifact gives {} {}; F32 [image tokens, {}] is expected: it does not belong "
          "to {}",
          name(features.dtype()), to_string(features.shape()), hidden_size, session_.path().string()));
    }
    rows += features.shape()[0];
  }
  const auto wanted = takes_images_ ? std::ranges::count(ids_, image_token_id) : std::int64_t{0};
  if (rows != wanted) {
    throw InputError(
        fmt::format("{} image tokens and {} embeddings for them; as many are expected", wanted, rows));
  }
  if (!takes_images_) return;
  const auto width = static_cast<std::size_t>(hidden_size);
  std::size_t picture = 0;
  std::size_t row = 0;
  for (const std::int64_t id : ids) {
    if (id != image_token_id) {
      append_embedding({});
      continue;
    }
    while (row * width == picture_features[picture].as<float>().size()) {
      ++picture;
      row = 0;
    }
    append_embedding(picture_features[picture].as<float>().subspan(row++ * width, width));
  }
}

void TextDecoder::append(std::int64_t id) {
  ids_.push_back(id);
  if (takes_images_) append_embedding({});
}

void TextDecoder::append_embedding(std::span<const float> row) {
  const std::size_t begin = embeds_.size();
  embeds_.resize(begin + static_cast<std::size_t>(hidden_size_) * size_bytes(embeds_dtype_));
  if (!row.empty()) convert(DType::f32, std::as_bytes(row), embeds_dtype_, std::span(embeds_).subspan(begin));
}

std::vector<float> TextDecoder::next_logits(const CancelToken* cancel) const {
  const Tensor last = logits_from(static_cast<std::int64_t>(ids_.size()) - 1, cancel);
  const std::span<const float> values = last.as<float>();
  return {values.begin(), values.end()};
}

Tensor TextDecoder::logits_from(std::int64_t first, const CancelToken* cancel) const {
  const auto length = static_cast<std::int64_t>(ids_.size());
  if (first < 0 || first >= length)
    throw UsageError(fmt::format("logits from position {} of a sequence of {} tokens", first, length));
  Tensor mask(mask_dtype_, {1, length});
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    if (mask_dtype_ == DType::i64) {
      mask.as<std::int64_t>()[i] = 1;
    } else {
      mask.as<std::uint8_t>()[i] = 1;
    }
  }
  std::vector<NamedTensor> inputs{{"input_ids", {DType::i64, {1, length}, std::as_bytes(std::span(ids_))}},
                                  {"attention_mask", mask.view()}};
  if (takes_images_) inputs.push_back({"image_embeds", {embeds_dtype_, {1, length, hidden_size_}, embeds_}});
  const OutputTensor logits = std::move(session_.run(inputs, {"logits"}, cancel).front());
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
