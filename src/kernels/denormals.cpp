#include "kernels/denormals.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace qvl {
namespace {

#if defined(__x86_64__)
constexpr std::uint64_t kZeroBits = 0x8040;  // flush to zero, denormals are zero
std::uint64_t control() noexcept { return _mm_getcsr(); }
void set_control(std::uint64_t bits) noexcept { _mm_setcsr(static_cast<unsigned>(bits)); }
#elif defined(__aarch64__)
constexpr std::uint64_t kZeroBits = 1U << 24U;  // FZ: both
std::uint64_t control() noexcept {
  std::uint64_t bits = 0;
  asm volatile("mrs %0, fpcr" : "=r"(bits));
  return bits;
}
void set_control(std::uint64_t bits) noexcept { asm volatile("msr fpcr, %0" : : "r"(bits)); }
#else
constexpr std::uint64_t kZeroBits = 0;
std::uint64_t control() noexcept { return 0; }
void set_control(std::uint64_t) noexcept {}
#endif

}  // namespace

DenormalsAsZero::DenormalsAsZero(bool wanted) noexcept : wanted_(wanted) {
  if (!wanted_) return;
  before_ = control();
  set_control(before_ | kZeroBits);
}

// Only these bits: what else the thread's code has changed meanwhile stays.
DenormalsAsZero::~DenormalsAsZero() {
  if (wanted_) set_control((control() & ~kZeroBits) | (before_ & kZeroBits));
}

}  // namespace qvl
