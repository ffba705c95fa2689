// Tokens to the next token, by a text artifact (whole sequence at every step; the reference artifacts have no
// KV cache).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "core/tensor.h"
#include "models/decoder_inputs.h"
#include "runtime/session.h"

namespace qvl {

class TextDecoder {
 public:
  // Loads the artifact, with or without image embeddings. Throws as Session does, and InputError when the
  // model is not a text artifact.
  TextDecoder(const std::filesystem::path& artifact, const ModelFacts& facts, const SessionOptions& options);

  // Begins a sequence: the prompt's tokens, and for each image token in order its embedding. Throws as
  // DecoderInputs::of.
  void begin(std::span<const std::int64_t> ids, std::span<const Tensor> picture_features);
  void append(std::int64_t id);

  // Logits of the token that follows the sequence: f32 [vocab]. Throws InputError when the model gives
  // something else, or no finite numbers.
  [[nodiscard]] std::vector<float> next_logits(const CancelToken* cancel) const;
  // Of all tokens that follow a position from `first` (0: the sequence's first token) to the last, in one
  // pass: f32 [positions, vocab]. Throws as next_logits; UsageError for a position that is not there.
  [[nodiscard]] Tensor logits_from(std::int64_t first, const CancelToken* cancel) const;

 private:
  Session session_;
  ModelFacts facts_;
  DecoderPorts ports_;
  DecoderInputs inputs_;
};

}  // namespace qvl
