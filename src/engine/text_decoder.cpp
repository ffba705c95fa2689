#include "engine/text_decoder.h"

#include <fmt/format.h>

#include "core/convert.h"
#include "core/half.h"
#include "qvl/error.h"

namespace qvl {

TextDecoder::TextDecoder(const std::filesystem::path& artifact, const SessionOptions& options)
    : session_(artifact, options) {
  for (const TensorInfo& input : session_.inputs()) {
    if (input.name == "image_embeds") {
      takes_images_ = true;
      embeds_dtype_ = input.dtype;
    }
    if (input.name == "attention_mask") mask_dtype_ = input.dtype;
  }
}

void TextDecoder::begin(std::span<const std::int64_t> ids, std::span<const Tensor> picture_features,
                        std::int64_t image_token_id, std::int64_t hidden_size) {
  hidden_size_ = hidden_size;
  ids_.assign(ids.begin(), ids.end());
  embeds_.clear();
  if (!takes_images_) return;
  const auto width = static_cast<std::size_t>(hidden_size);
  std::size_t picture = 0;
  std::size_t row = 0;
  for (const std::int64_t id : ids) {
    while (picture < picture_features.size() && row * width == picture_features[picture].as<float>().size()) {
      ++picture;
      row = 0;
    }
    if (id != image_token_id) {
      append_embedding({});
      continue;
    }
    if (picture == picture_features.size()) {
      throw InputError("the prompt has more image tokens than the pictures have embeddings");
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
  const auto length = static_cast<std::int64_t>(ids_.size());
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
  const auto vocab = static_cast<std::size_t>(logits.shape().back());
  std::vector<float> last(vocab);
  const std::size_t row_bytes = vocab * size_bytes(logits.dtype());
  convert(logits.dtype(), logits.bytes().last(row_bytes), DType::f32,
          std::as_writable_bytes(std::span(last)));
  return last;
}

}  // namespace qvl
