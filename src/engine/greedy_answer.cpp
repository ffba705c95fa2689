#include "engine/greedy_answer.h"

#include <algorithm>
#include <chrono>

namespace qvl {

GreedyAnswer answer_greedily(TextDecoder& decoder, std::span<const std::int64_t> end_ids, std::int64_t limit,
                             const CancelToken* cancel, const std::function<void(std::int64_t)>& on_token) {
  using Stopwatch = std::chrono::steady_clock;
  GreedyAnswer answer;
  for (std::int64_t step = 0; step < limit; ++step) {
    const auto start = Stopwatch::now();
    const std::vector<float> logits = decoder.next_logits(cancel);
    if (step == 0)
      answer.first_token_ms = std::chrono::duration<double, std::milli>(Stopwatch::now() - start).count();
    const std::int64_t id = std::ranges::max_element(logits) - logits.begin();
    if (std::ranges::find(end_ids, id) != end_ids.end()) {
      answer.stop = StopReason::eos;
      break;
    }
    answer.ids.push_back(id);
    if (on_token) on_token(id);
    decoder.append(id);
  }
  return answer;
}

}  // namespace qvl
