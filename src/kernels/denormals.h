// Numbers nearer to 0 than the least normal one (f32: 1.2e-38) cost processors a hundred times what others
// do.
#pragma once

#include <cstdint>

namespace qvl {

// While it lives, this thread's arithmetic takes and gives 0 for them, on x86-64 and aarch64; elsewhere it
// does nothing. To be destroyed on the thread that made it.
class DenormalsAsZero {
 public:
  explicit DenormalsAsZero(bool wanted = true) noexcept;
  ~DenormalsAsZero();
  DenormalsAsZero(const DenormalsAsZero&) = delete;
  DenormalsAsZero& operator=(const DenormalsAsZero&) = delete;

 private:
  bool wanted_;
  std::uint64_t before_ = 0;  // the thread's control register
};

}  // namespace qvl
