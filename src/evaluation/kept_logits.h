// The reference's logits, kept while other folders run: in memory up to a bound, then on the disk.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace qvl {

class KeptLogits {
 public:
  // What does not fit into `memory_bytes` goes to a file without a name in the system's temporary folder
  // (TMPDIR), whose space is free again at the end, however the process ends.
  explicit KeptLogits(std::uint64_t memory_bytes) : room_bytes_(memory_bytes) {}
  ~KeptLogits();
  KeptLogits(const KeptLogits&) = delete;
  KeptLogits& operator=(const KeptLogits&) = delete;

  // f32. Throws MachineError when the disk is full or fails.
  void add(Tensor logits);
  [[nodiscard]] std::size_t size() const noexcept { return kept_.size(); }
  // What was added as number `index`.
  [[nodiscard]] Tensor at(std::size_t index) const;
  // On the disk.
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return file_bytes_; }

 private:
  struct Kept {
    Tensor tensor;  // empty when it is in the file
    Shape shape;
    std::uint64_t offset = 0;
    bool in_file = false;
  };
  void write(std::span<const std::byte> bytes);

  std::uint64_t room_bytes_;
  std::vector<Kept> kept_;
  int file_ = -1;
  std::uint64_t file_bytes_ = 0;
};

}  // namespace qvl
