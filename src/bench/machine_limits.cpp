#include "bench/machine_limits.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "bench/disk_speed.h"
#include "bench/fma_kernel.h"
#include "bench/machine_info.h"
#include "bench/memory_kernels.h"
#include "core/process_memory.h"
#include "qvl/error.h"

namespace qvl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kBurstSeconds = 0.01;  // short enough to fall between those of other programs
constexpr double kLeastSeconds = 0.1;
constexpr double kMostSeconds = 60;
constexpr std::int64_t kFmaSteps = 20'000;
constexpr std::size_t kChunkBytes = std::size_t{1} << 20U;
constexpr std::size_t kHastyBufferBytes = std::size_t{32} << 20U;
constexpr std::size_t kLeastBufferBytes = std::size_t{256} << 20U;
constexpr std::size_t kMostBufferBytes = std::size_t{8} << 30U;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Lets `work` (one call of it is a small piece and gives its size) run over and over on every processor;
// pieces per second of the best burst.
double best_rate(double seconds, const CancelToken* cancel, const std::function<double(std::size_t)>& work) {
  const std::size_t threads = processor_count();
  const double burst_seconds = std::min(kBurstSeconds, seconds);
  double best = 0;
  const auto begin = Clock::now();
  do {
    if (cancel != nullptr) cancel->throw_if_cancelled();
    std::vector<double> done(threads, 0);
    const auto start = Clock::now();
    const auto burst = [&](std::size_t thread) {
      double amount = 0;
      do {
        amount += work(thread);
      } while (seconds_since(start) < burst_seconds);
      done[thread] = amount;
    };
    {
      std::vector<std::jthread> others;
      for (std::size_t t = 1; t < threads; ++t) others.emplace_back(burst, t);
      burst(0);
    }
    double total = 0;
    for (const double amount : done) total += amount;
    best = std::max(best, total / seconds_since(start));
  } while (seconds_since(begin) < seconds);
  return best;
}

// Anonymous memory in large pages where the system gives them; given back whole at the end, so that it is in
// no later figure.
class Buffer {
 public:
  explicit Buffer(std::size_t size) : size_(size) {
    void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw MachineError(fmt::format("no {} bytes of memory to measure with", size));
    data_ = static_cast<std::byte*>(at);
    (void)::madvise(data_, size_, MADV_HUGEPAGE);
  }
  ~Buffer() { ::munmap(data_, size_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  [[nodiscard]] std::span<std::uint64_t> words(std::size_t first_chunk, std::size_t chunks) const noexcept {
    return {reinterpret_cast<std::uint64_t*>(data_ + first_chunk * kChunkBytes), chunks * kChunkBytes / 8};
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

std::size_t buffer_bytes(double seconds) {
  if (seconds < kLeastSeconds) return kHastyBufferBytes;
  const long cache = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
  const std::size_t eight_caches = 8 * static_cast<std::size_t>(std::max(0L, cache));
  const std::size_t wanted = std::clamp(eight_caches, kLeastBufferBytes, kMostBufferBytes);
  const auto available = available_memory_bytes();
  return available ? std::min<std::uint64_t>(wanted, *available / 4) : wanted;
}

void measure_memory(const LimitsOptions& options, MachineLimits& limits) {
  const std::size_t threads = processor_count();
  // A part for each thread, half of it to copy from and half to copy to.
  const std::size_t half =
      std::max<std::size_t>(1, buffer_bytes(options.seconds) / kChunkBytes / threads / 2);
  const Buffer buffer(2 * half * threads * kChunkBytes);
  const auto part = [&](std::size_t thread) { return thread * 2 * half; };
  {
    std::vector<std::jthread> workers;  // the pages of a part lie near the processor that first writes them
    for (std::size_t t = 0; t < threads; ++t) {
      workers.emplace_back([&, t] { std::ranges::fill(buffer.words(part(t), 2 * half), t + 1); });
    }
  }
  std::vector<std::size_t> next(threads, 0);
  std::vector<std::uint64_t> sums(threads, 0);
  limits.memory_read_bytes = best_rate(options.seconds, options.cancel, [&](std::size_t t) {
    sums[t] += sum_words(buffer.words(part(t) + next[t]++ % (2 * half), 1));
    return static_cast<double>(kChunkBytes);
  });
  limits.memory_copy_bytes = best_rate(options.seconds, options.cancel, [&](std::size_t t) {
    const std::size_t chunk = part(t) + next[t]++ % half;
    copy_words(buffer.words(chunk, 1), buffer.words(chunk + half, 1));
    return static_cast<double>(2 * kChunkBytes);
  });
}

double measure_arithmetic(const LimitsOptions& options) {
  struct alignas(64) Values {
    std::array<float, kFmaValues> x{};
  };
  std::vector<Values> values(processor_count());
  return best_rate(options.seconds, options.cancel, [&](std::size_t thread) {
    run_fma(values[thread].x, kFmaSteps);
    return 2.0 * static_cast<double>(kFmaValues) * static_cast<double>(kFmaSteps);
  });
}

void begin(const LimitsOptions& options, const std::string& stage) {
  if (options.cancel != nullptr) options.cancel->throw_if_cancelled();
  if (options.progress != nullptr) options.progress->begin(stage, 0);
}
void end(const LimitsOptions& options) {
  if (options.progress != nullptr) options.progress->end();
}

}  // namespace

double MachineLimits::disk_write_bytes() const noexcept {
  return std::max(disk_buffered_bytes, disk_direct_bytes);
}

MachineLimits MachineLimits::best_with(const MachineLimits& other) const noexcept {
  return {std::max(disk_buffered_bytes, other.disk_buffered_bytes),
          std::max(disk_direct_bytes, other.disk_direct_bytes),
          std::max(memory_read_bytes, other.memory_read_bytes),
          std::max(memory_copy_bytes, other.memory_copy_bytes), std::max(f32_flop, other.f32_flop)};
}

MachineLimits measure_limits(const LimitsOptions& options) {
  if (!(options.seconds >= 0 && options.seconds <= kMostSeconds)) {
    throw UsageError(fmt::format("{} s for each limit; 0 to {} are expected", options.seconds, kMostSeconds));
  }
  MachineLimits limits;
  if (options.seconds == 0) return limits;
  if (options.disk) {
    begin(options, "limit of the disk");
    const DiskSpeed speed =
        measure_disk_write({options.disk_folder, options.disk_bytes, options.seconds}, options.cancel);
    limits.disk_buffered_bytes = speed.buffered;
    limits.disk_direct_bytes = speed.direct;
    end(options);
  }
  if (options.memory) {
    begin(options, "limit of the memory");
    measure_memory(options, limits);
    end(options);
  }
  if (options.arithmetic) {
    begin(options, "limit of the arithmetic");
    limits.f32_flop = measure_arithmetic(options);
    end(options);
  }
  return limits;
}

}  // namespace qvl
