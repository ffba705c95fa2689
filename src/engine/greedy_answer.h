// The token of the highest logit, again and again.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/text_decoder.h"
#include "qvl/engine.h"

namespace qvl {

struct GreedyAnswer {
  std::vector<std::int64_t> ids;  // without the end token
  StopReason stop = StopReason::length;
  double first_token_ms = 0;  // the decoder's first pass, over the whole prompt
};

// Goes on from what `decoder` was begun with until one of `end_ids` or `limit` tokens. `on_token` gets each
// token of `ids` as it comes. Throws as TextDecoder::next_logits.
[[nodiscard]] GreedyAnswer answer_greedily(TextDecoder& decoder, std::span<const std::int64_t> end_ids,
                                           std::int64_t limit, const CancelToken* cancel,
                                           const std::function<void(std::int64_t)>& on_token = {});

}  // namespace qvl
