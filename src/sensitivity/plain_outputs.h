// The unquantized model's outputs of samples, that others are compared with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "replay/flight.h"
#include "sensitivity/metrics.h"
#include "sensitivity/replay_tools.h"

namespace qvl {

class PlainOutputs {
 public:
  // `tools` must outlive it.
  explicit PlainOutputs(ReplayTools& tools) : tools_(tools) {}

  // Calls work(some of the samples) until all had their turn, with their outputs at hand: as many at once as
  // an eighth of what states may take holds. `reference` is unquantized and stands in front of the last
  // stage; where the outputs of all its samples fit, they are kept for the next call.
  void with(const Flight& reference, const std::vector<std::size_t>& samples,
            const std::function<void(std::span<const std::size_t> some)>& work);

  // During with(): of one of the samples.
  [[nodiscard]] const Outputs& of(std::size_t sample) const { return outputs_.at(sample); }
  // During with(): how far `outputs` are from those.
  [[nodiscard]] OutputSums compare(std::size_t sample, const Outputs& outputs) const;

  void forget() { outputs_.clear(); }
  // The most that a sample's outputs took.
  [[nodiscard]] std::uint64_t most_bytes() const noexcept { return most_bytes_; }

 private:
  ReplayTools& tools_;
  std::map<std::size_t, Outputs> outputs_;  // by sample
  std::uint64_t most_bytes_ = 0;
};

}  // namespace qvl
