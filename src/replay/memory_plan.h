// How much a run may hold, and of what.
#pragma once

#include <cstdint>

namespace qvl {

class MemoryPlan {
 public:
  // `limit_bytes` is what the process may have resident; 0: what is resident now and nine tenths of what the
  // machine has left.
  explicit MemoryPlan(std::uint64_t limit_bytes);

  [[nodiscard]] std::uint64_t limit_bytes() const noexcept { return limit_; }
  // For weights in f32 and their quantized forms.
  [[nodiscard]] std::uint64_t weight_bytes() const noexcept;

  // Measured on the unquantized model: what one run takes at most beside weights and states, and the states
  // of one sample. `fixed_bytes`: resident without all these.
  void learn(std::uint64_t fixed_bytes, std::uint64_t run_bytes, std::uint64_t sample_bytes);
  // Runs at once, at most `wanted`. Throws MachineError when not even one fits, saying what would do.
  [[nodiscard]] unsigned workers(unsigned wanted) const;
  // For the states of all flights together, when so many runs go on at once.
  [[nodiscard]] std::uint64_t state_bytes(unsigned workers) const;
  [[nodiscard]] std::uint64_t sample_bytes() const noexcept { return sample_; }

  // Starts to look for the most that is resident; most_resident() tells it since then.
  static void watch();
  [[nodiscard]] static std::uint64_t most_resident();
  [[nodiscard]] static std::uint64_t resident();

 private:
  std::uint64_t limit_ = 0;
  std::uint64_t fixed_ = 0;
  std::uint64_t run_ = 0;
  std::uint64_t sample_ = 0;
};

}  // namespace qvl
