// From a rendered chat to the decoder's input_ids.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qvl {

// The chat template writes one image token per picture; the model wants one per merge block. Every image
// token of `ids` is repeated as often as its picture asks for. Throws InputError when there are more or fewer
// than `tokens_per_picture`.
[[nodiscard]] std::vector<std::int64_t> expand_image_tokens(std::span<const std::int64_t> ids,
                                                            std::span<const std::int64_t> tokens_per_picture,
                                                            std::int64_t image_token_id);

}  // namespace qvl
