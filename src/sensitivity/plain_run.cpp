#include "sensitivity/plain_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "qvl/error.h"
#include "sensitivity/own_answers.h"

namespace qvl {

PlainRun::PlainRun(ReplayTools& tools, MeasuredNumbers& numbers)
    : tools_(tools), numbers_(numbers), steps_(tools.program, tools.replay), outputs_(tools) {}

void PlainRun::need(const SampleGroup& group) {
  if (!flight_ || flight_->samples != group) prepare(group, {});
}

const Flight* PlainRun::kept(const Stage& stage) const {
  const auto found = kept_.find(stage);
  return found == kept_.end() ? nullptr : &found->second;
}

void PlainRun::with_outputs(const std::vector<std::size_t>& samples,
                            const std::function<void(std::span<const std::size_t> some)>& work) {
  outputs_.with(*flight_, samples, work);
}

// So that the unquantized model need not go through the stages again.
void PlainRun::keep(const Stage& stage, const Flight& base) {
  const std::uint64_t bytes = total_bytes(base);
  if (kept_bytes_ + bytes > tools_.state_bytes() / 4) return;
  kept_bytes_ += bytes;
  kept_.emplace(stage, base);
}

void PlainRun::forget() {
  if (flight_) {
    for (std::size_t p = 0; p < tools_.program.parts.size(); ++p) {
      for (const std::size_t item : items_of(tools_.program, p, flight_->samples))
        tools_.replay.forget_statics(p, item);
    }
  }
  flight_.reset();
  outputs_.forget();
  kept_.clear();
  kept_bytes_ = 0;
}

void PlainRun::prepare(const SampleGroup& group, const ObserveInput& observe, Purpose purpose) {
  forget();
  add_own_answers(tools_.program, group, tools_.replay, steps_, numbers_);
  Flight base = tools_.replay.start(Assignment(tools_.program.unit_count()), group);
  for (Stage stage; !stage.is_end(tools_.program); stage = stage.next(tools_.program)) {
    if (tools_.cancel != nullptr) tools_.cancel->throw_if_cancelled();
    step(stage, base, observe, purpose);
    sample_bytes_ = std::max(sample_bytes_, total_bytes(base) / group.size() + 1);
  }
  flight_ = std::move(base);
  const bool done_again = purpose == Purpose::learn && tools_.program.samples.size() > 1;
  with_outputs(group, [&](std::span<const std::size_t> some) {
    for (const std::size_t sample : some) check_outputs(sample, !done_again);
  });
  numbers_.flush();
}

// To the next stage, but not over the last one.
void PlainRun::step(const Stage& stage, Flight& base, const ObserveInput& observe, Purpose purpose) {
  const Program& program = tools_.program;
  const bool learns = purpose == Purpose::learn;
  if (learns && program.samples.size() > 1 && !stage.is_last(program)) {
    Flight next = base;
    steps_.look(stage, base, observe, &next);
    base = std::move(next);
    if (stage.is_last_of_part(program)) tools_.replay.join(stage.part, base);
    return;
  }
  // Inside is looked at where something is to be learned there, or to say which unit is to blame.
  if (observe || learns || !stage.of(program).shapes.empty()) steps_.look(stage, base, observe);
  if (stage.is_last(program)) return;
  steps_.advance(stage, base);
  if (!learns) keep(stage.next(program), base);
}

// With `put` their numbers go to the store.
void PlainRun::check_outputs(std::size_t sample, bool put) {
  const Outputs& outputs = outputs_.of(sample);
  const HeldTensor& output = outputs.front();
  const Program& program = tools_.program;
  if (output.view.dtype != DType::f32) {
    throw InputError(fmt::format("{}: the output {} is {}; floating-point numbers are expected",
                                 program.parts.back()->graph.path().string(), program.parts.back()->output(),
                                 name(output.view.dtype)));
  }
  if (!all_finite(output.view)) {
    const std::size_t part = program.parts.size() - 1;
    steps_.look({part, program.parts[part]->cut.segments.size() - 1}, *flight_, {});
    throw InputError(fmt::format("{}: the unquantized output is not finite", program.samples[sample].name));
  }
  if (!put || numbers_.plain(sample, "plain")) return;
  numbers_.put_plain(sample, "plain", outputs_.compare(sample, outputs).numbers());
  const LocalSums own = local_sums(output.view, output.view, {});
  numbers_.put_plain(
      sample, "output",
      std::vector<double>{own.plain, static_cast<double>(output.view.bytes.size() / sizeof(float))});
}

}  // namespace qvl
