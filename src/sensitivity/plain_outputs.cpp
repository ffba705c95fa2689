#include "sensitivity/plain_outputs.h"

#include <algorithm>
#include <iterator>

#include "core/parallel.h"

namespace qvl {

void PlainOutputs::with(const Flight& reference, const std::vector<std::size_t>& samples,
                        const std::function<void(std::span<const std::size_t> some)>& work) {
  const std::uint64_t room = tools_.state_bytes() / 8;
  const auto most =
      static_cast<std::size_t>(std::max<std::uint64_t>(1, room / std::max<std::uint64_t>(1, most_bytes_)));
  const bool all_fit = reference.samples.size() <= most;
  for (std::size_t i = 0; i < samples.size(); i += most) {
    const std::span some = std::span(samples).subspan(i, std::min(most, samples.size() - i));
    std::vector<std::size_t> missing;
    std::ranges::copy_if(some, std::back_inserter(missing),
                         [&](std::size_t sample) { return !outputs_.contains(sample); });
    std::vector<Outputs> made(missing.size());
    parallel_for(made.size(), tools_.replay.workers(), tools_.cancel,
                 [&](std::size_t m, unsigned) { made[m] = tools_.replay.run_last(reference, missing[m]); });
    for (std::size_t m = 0; m < made.size(); ++m) {
      std::uint64_t bytes = 0;
      for (const HeldTensor& one : made[m]) bytes += one.view.bytes.size();
      most_bytes_ = std::max(most_bytes_, bytes);
      outputs_.insert_or_assign(missing[m], std::move(made[m]));
    }
    work(some);
    if (!all_fit) outputs_.clear();
  }
}

OutputSums PlainOutputs::compare(std::size_t sample, const Outputs& outputs) const {
  const Outputs& reference = of(sample);
  const Program& program = tools_.program;
  OutputSums sums = output_sums(reference.front().view, outputs.front().view,
                                program.has_logits ? &program.samples[sample].answer : nullptr);
  for (std::size_t i = 1; i < outputs.size(); ++i)
    sums.others.push_back(other_sums(reference[i].view, outputs[i].view));
  return sums;
}

}  // namespace qvl
