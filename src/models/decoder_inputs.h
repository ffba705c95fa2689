// What a text artifact of the reference set is given: tokens, their mask, and the pictures' features at the
// image tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/named_tensor.h"
#include "core/tensor.h"
#include "models/model.h"

namespace qvl {

using TokenIds = std::vector<std::int64_t>;

enum class PaddingSide { left, right };

// Rows of tokens of one length.
struct TokenBatch {
  Tensor ids;   // i64 [batch, seq]
  Tensor mask;  // i64 [batch, seq], 1 at tokens, 0 at padding

  // Shorter rows are filled up with `padding`, which the mask hides.
  [[nodiscard]] static TokenBatch of(std::span<const TokenIds> rows, PaddingSide side, std::int64_t padding);
  [[nodiscard]] static TokenBatch of_row(std::span<const std::int64_t> ids);

  [[nodiscard]] std::int64_t batch() const { return ids.shape()[0]; }
  [[nodiscard]] std::int64_t length() const { return ids.shape()[1]; }
  // Places in [0, batch x seq) of the tokens of one row, or of all.
  [[nodiscard]] std::vector<std::int64_t> tokens_of(std::int64_t row) const;
  [[nodiscard]] std::vector<std::int64_t> tokens() const;
};

// Which of them an artifact takes beside input_ids, and as what.
struct DecoderPorts {
  DType mask = DType::i64;      // I64 or BOOL
  std::optional<DType> embeds;  // of image_embeds, F16 or F32; none: it takes no pictures

  // Nothing where these are not the inputs of a text artifact.
  [[nodiscard]] static std::optional<DecoderPorts> of(std::span<const PortSpec> inputs);
};

struct DecoderInputs {
  TokenBatch tokens;
  Tensor mask;                   // of the artifact's dtype
  std::optional<Tensor> embeds;  // [batch, seq, hidden]; zero where no picture is

  // `features`: f32 [n, hidden], the pictures of all rows one after the other, laid at the image tokens that
  // are no padding. Throws InputError where they are something else, or not as many as these tokens.
  [[nodiscard]] static DecoderInputs of(TokenBatch tokens, std::span<const TensorView> features,
                                        const DecoderPorts& ports, const ModelFacts& facts);
  // One more token of one row.
  void append(std::int64_t id);

  // input_ids, attention_mask and, where it is taken, image_embeds; views into this.
  [[nodiscard]] std::vector<NamedTensor> named() const;
};

}  // namespace qvl
