#include "sensitivity/own_answers.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace qvl {
namespace {

std::int64_t most_likely(const TensorView& logits, std::int64_t row) {
  const auto width = static_cast<std::size_t>(logits.shape.back());
  const auto* values =
      reinterpret_cast<const float*>(logits.bytes.data()) + static_cast<std::size_t>(row) * width;
  return std::max_element(values, values + width) - values;
}

}  // namespace

void add_own_answers(Program& program, std::span<const std::size_t> samples, Replay& replay,
                     PlainSteps& steps, MeasuredNumbers& numbers) {
  constexpr const char* kKind = "own answer";
  for (const std::size_t sample : samples) {
    const Sample& info = program.samples[sample];
    if (!program.has_logits || !program.extend || !info.answer.rows.empty()) continue;
    if (const auto known = numbers.plain(sample, kKind)) {
      for (const double token : *known) {
        if (!program.extend(sample, static_cast<std::int64_t>(token))) break;
      }
      replay.forget_statics(program.parts.size() - 1, sample);
      continue;
    }
    std::vector<double> tokens;
    for (bool more = true; more;) {
      Flight flight = replay.start(Assignment(program.unit_count()), {sample});
      steps.to_last(flight);
      const HeldTensor logits = replay.run_last(flight, sample).front();
      const auto rows = static_cast<std::int64_t>(info.rows.size());
      const std::int64_t token = most_likely(logits.view, rows - 1);
      tokens.push_back(static_cast<double>(token));
      more = program.extend(sample, token);
      replay.forget_statics(program.parts.size() - 1, sample);
    }
    numbers.put_plain(sample, kKind, tokens);
    numbers.flush();
  }
}

}  // namespace qvl
