// How the results of single stages are compared with the goldens.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "image/rgb_image.h"
#include "models/golden_stages.h"
#include "verify/check_list.h"
#include "verify/goldens.h"
#include "verify/text_input.h"

namespace qvl {

// A picture u8 [height, width, 3].
[[nodiscard]] RgbImage picture_of(const Tensor& tensor);

// Rows of `width` numbers; a failure names the place where they are farthest apart.
[[nodiscard]] Check compare_rows(std::span<const float> found, std::span<const float> expected, double bar,
                                 std::int64_t width);
// Equal to the last bit.
[[nodiscard]] Check compare_pixels(const RgbImage& found, const RgbImage& expected);
// `found` are the prompts' ids; the golden's are those of `batch` that its mask shows.
[[nodiscard]] Check compare_ids(std::span<const TokenIds> found, const TokenBatch& batch);
// `outputs` are the graph's values `positions.found`, each [batch, seq]; `expected` is [3, batch, seq].
// Padding does not count. Skipped when all that was found is equal, but a row was not found.
[[nodiscard]] Check compare_positions(const TokenBatch& batch, const PositionValues& positions,
                                      std::span<const TensorView> outputs, const Tensor& expected);
// `logits` [batch, seq, vocab] are those of the prompt with the answer behind it, in one pass; the golden's
// are of the last positions of the prompt, which has `prompt` tokens with its padding. Padding does not
// count.
[[nodiscard]] Check compare_logits(const TokenBatch& batch, const TensorView& logits, const Tensor& expected,
                                   std::int64_t prompt, double bar);
// At every position before a token of the answer that token must have the highest logit: what greedy decoding
// does step by step. Steps whose two highest logits are not more than `least_gap` apart in the reference do
// not count. `gaps` may be null.
[[nodiscard]] Check compare_answer(const TensorView& logits, const Tensor& answer, const Tensor* gaps,
                                   float least_gap);

}  // namespace qvl
