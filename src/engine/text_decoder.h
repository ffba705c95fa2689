// Tokens to the next token, by a text artifact (whole sequence at every step; the reference artifacts have no
// KV cache).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "core/tensor.h"
#include "runtime/session.h"

namespace qvl {

class TextDecoder {
 public:
  // Loads the artifact, with or without image embeddings. Throws as Session does, and InputError when the
  // model is not a text artifact.
  TextDecoder(const std::filesystem::path& artifact, const SessionOptions& options);

  // Begins a sequence: the prompt's tokens, and for each image token in order its embedding, f32 rows of
  // hidden_size. Throws InputError unless the features are such rows, as many as there are image tokens.
  void begin(std::span<const std::int64_t> ids, std::span<const Tensor> picture_features,
             std::int64_t image_token_id, std::int64_t hidden_size);
  void append(std::int64_t id);

  // Logits of the token that follows the sequence: f32 [vocab]. Throws InputError when the model gives
  // something else, or no finite numbers.
  [[nodiscard]] std::vector<float> next_logits(const CancelToken* cancel) const;
  // Of all tokens that follow a position from `first` (0: the sequence's first token) to the last, in one
  // pass: f32 [positions, vocab]. Throws as next_logits; UsageError for a position that is not there.
  [[nodiscard]] Tensor logits_from(std::int64_t first, const CancelToken* cancel) const;

 private:
  void append_embedding(std::span<const float> row);

  Session session_;
  bool takes_images_ = false;
  DType embeds_dtype_ = DType::f16;
  DType mask_dtype_ = DType::i64;
  std::int64_t hidden_size_ = 0;
  std::vector<std::int64_t> ids_;
  std::vector<std::byte> embeds_;  // [tokens, hidden] in embeds_dtype_; zero where no picture is
};

}  // namespace qvl
