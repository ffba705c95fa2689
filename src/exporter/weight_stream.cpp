#include "exporter/weight_stream.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <semaphore>
#include <system_error>
#include <thread>
#include <utility>

#include "core/output_file.h"
#include "core/parallel.h"
#include "core/sha256.h"
#include "exporter/stream_plan.h"
#include "kernels/transpose.h"

namespace qvl {
namespace {

// Memory that is written before it is read: not zeroed, and in large pages where the system has them, since a
// stripe of columns touches a page for every few rows.
class Buffer {
 public:
  explicit Buffer(std::uint64_t size_bytes) : size_(size_bytes) {
    if (size_ == 0) return;
    void* address = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address == MAP_FAILED) throw std::bad_alloc();
    ::madvise(address, size_, MADV_HUGEPAGE);
    data_ = static_cast<std::byte*>(address);
  }
  ~Buffer() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  [[nodiscard]] std::span<std::byte> first(std::uint64_t bytes) const {
    return std::span(data_, size_).first(bytes);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_;
};

// So many more than work at a time wait for the disk.
constexpr unsigned kWaitingThreads = 2;

class Streamer {
 public:
  Streamer(const OnnxModel& model, const Checkpoint& checkpoint, std::vector<TensorReport> tensors,
           const std::filesystem::path& place, const WeightStreamOptions& options)
      : tensors_(model.external_tensors()),
        checkpoint_(checkpoint),
        options_(options),
        reports_(std::move(tensors)),
        plan_(plan_stream(reports_, model.external_size_bytes(), options.limits)),
        threads_(worker_count(options.threads)),
        at_work_(static_cast<std::ptrdiff_t>(threads_)),
        slots_{Buffer(plan_.slot_bytes), Buffer(plan_.slot_bytes)},
        loads_left_(plan_.windows.size()),
        pieces_left_(plan_.windows.size()) {
    static_assert(StreamPlan::kSlots == 2);
    for (const TensorReport& report : reports_) sources_.push_back(canonical_source(report));
    for (std::size_t w = 0; w < plan_.windows.size(); ++w) {
      loads_left_[w] = plan_.windows[w].loads;
      pieces_left_[w] = plan_.windows[w].pieces;
    }
    files_.emplace_back(place, OutputFile::Cache::bypass);
    for (const auto& copy : options.copies) files_.emplace_back(copy, OutputFile::Cache::bypass);
    for (OutputFile& file : files_) file.reserve(model.external_size_bytes());
  }

  WrittenData run() {
    {
      std::vector<std::jthread> others;
      try {
        while (others.size() + 1 < threads_ + kWaitingThreads) others.emplace_back([this] { work(); });
      } catch (const std::system_error&) {
        // Fewer threads than wanted can be had: those that there are do the work.
      }
      work();
    }
    if (failure_) std::rethrow_exception(failure_);
    for (OutputFile& file : files_) file.commit();
    return {std::move(reports_), sha_.hex()};
  }

 private:
  // Takes task after task until none is left or something failed.
  void work() noexcept {
    try {
      const Buffer turned(plan_.turned_bytes);
      const Buffer converted(plan_.piece_bytes);
      while (do_task(turned, converted)) {
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      changed_.notify_all();
    }
  }

  // The right to work is had before a task is taken and kept until its piece is hashed: whoever waits for an
  // earlier task waits for somebody at work.
  bool do_task(const Buffer& turned, const Buffer& converted) {
    std::span<const std::byte> bytes;
    const StreamTask* task = nullptr;
    {
      at_work_.acquire();
      const auto leave = [this](void*) { at_work_.release(); };
      const std::unique_ptr<void, decltype(leave)> left(this, leave);
      task = next_task();
      if (task == nullptr) return false;
      if (task->kind == StreamTask::Kind::load) {
        load(task->index, task->portion);
        return true;
      }
      bytes = make_piece(task->index, turned, converted);
    }
    const StreamPiece& piece = plan_.pieces[task->index];
    for (OutputFile& file : files_) {
      file.write_at(piece.offset_bytes, bytes);
      advance(piece.size_bytes);
    }
    return true;
  }

  const StreamTask* next_task() {
    if (options_.cancel != nullptr) options_.cancel->throw_if_cancelled();
    const std::lock_guard lock(mutex_);
    return failure_ || next_ == plan_.tasks.size() ? nullptr : &plan_.tasks[next_++];
  }

  // Waits until the condition, which reads what mutex_ guards, holds. The tasks that make it hold were taken
  // before, by threads that are at work or have failed.
  template <class Condition>
  void wait_until(const Condition& condition) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return failure_ || condition(); });
    if (failure_) throw Interrupted("another thread failed");
  }

  void count_down(std::size_t& left) {
    const std::lock_guard lock(mutex_);
    if (--left == 0) changed_.notify_all();
  }

  // Some rows of a window.
  void load(std::size_t index, std::size_t portion) {
    const StreamWindow& w = plan_.windows[index];
    if (index >= StreamPlan::kSlots)
      wait_until([&] { return pieces_left_[index - StreamPlan::kSlots] == 0; });
    const std::string& name = sources_[w.tensor];
    const std::int64_t first_row = static_cast<std::int64_t>(portion) * w.portion_rows;
    const std::int64_t rows = std::min(w.portion_rows, w.rows - first_row);
    const std::size_t run = static_cast<std::size_t>(w.columns) * w.element_bytes;
    const std::span<std::byte> all = slots_[w.slot].first(w.size_bytes());
    const std::span<std::byte> here =
        all.subspan(static_cast<std::size_t>(first_row) * run, static_cast<std::size_t>(rows) * run);
    if (w.columns == w.all_columns) {
      checkpoint_.read(name, static_cast<std::uint64_t>(first_row) * run, here);
    } else {
      for (std::int64_t r = 0; r < rows; ++r) {
        const auto at =
            static_cast<std::uint64_t>((first_row + r) * w.all_columns + w.first) * w.element_bytes;
        checkpoint_.read(name, at, here.subspan(static_cast<std::size_t>(r) * run, run));
      }
    }
    count_down(loads_left_[index]);
  }

  std::span<const std::byte> make_piece(std::size_t index, const Buffer& turned, const Buffer& converted) {
    const StreamPiece& piece = plan_.pieces[index];
    const ExternalTensor& tensor = tensors_[piece.tensor];
    const std::span<std::byte> bytes = converted.first(piece.size_bytes);
    if (tensor.values) {
      std::ranges::copy(
          tensor.values->bytes().subspan(piece.offset_bytes - tensor.offset_bytes, bytes.size()),
          bytes.begin());
    } else {
      convert_piece(piece, turned, bytes);
    }
    hash_in_turn(index, bytes);
    return bytes;
  }

  void convert_piece(const StreamPiece& piece, const Buffer& turned, std::span<std::byte> destination) {
    const DType from = reports_[piece.tensor].source_dtype;
    const DType to = tensors_[piece.tensor].dtype;
    const std::span<std::byte> source = turned.first(piece.size_bytes / size_bytes(to) * size_bytes(from));
    if (piece.window == StreamPiece::kNoWindow) {
      checkpoint_.read(sources_[piece.tensor], static_cast<std::uint64_t>(piece.first) * size_bytes(from),
                       source);
    } else {
      const StreamWindow& w = plan_.windows[piece.window];
      wait_until([&] { return loads_left_[piece.window] == 0; });
      transpose(slots_[w.slot]
                    .first(w.size_bytes())
                    .subspan(static_cast<std::size_t>(piece.first) * w.element_bytes),
                w.columns, source, w.rows, piece.count, w.element_bytes);
      count_down(pieces_left_[piece.window]);
    }
    const ConversionStats stats = convert(from, source, to, destination);
    const std::lock_guard lock(mutex_);
    reports_[piece.tensor].stats.merge(stats);
  }

  void hash_in_turn(std::size_t index, std::span<const std::byte> bytes) {
    static constexpr std::array<std::byte, OnnxModel::kAlignmentBytes> kZeros{};
    wait_until([&] { return hashed_ == index; });
    sha_.update(bytes);
    sha_.update(std::span(kZeros).first(plan_.pieces[index].zero_bytes));
    const std::lock_guard lock(mutex_);
    ++hashed_;
    changed_.notify_all();
  }

  void advance(std::uint64_t bytes) {
    if (options_.progress == nullptr) return;
    const std::lock_guard lock(mutex_);
    options_.progress->advance(bytes);
  }

  const std::vector<ExternalTensor>& tensors_;
  const Checkpoint& checkpoint_;
  const WeightStreamOptions& options_;
  std::deque<OutputFile> files_;
  Sha256 sha_;
  std::vector<TensorReport> reports_;
  std::vector<std::string> sources_;  // by tensor, as the checkpoint calls them
  const StreamPlan plan_;
  const unsigned threads_;
  std::counting_semaphore<> at_work_;
  const std::array<Buffer, StreamPlan::kSlots> slots_;

  std::mutex mutex_;  // of all that follows, the statistics in reports_, and progress
  std::condition_variable changed_;
  std::size_t next_ = 0;                  // task
  std::size_t hashed_ = 0;                // pieces
  std::vector<std::size_t> loads_left_;   // by window
  std::vector<std::size_t> pieces_left_;  // by window, not yet turned
  std::exception_ptr failure_;
};

}  // namespace

SourceLookup source_lookup(const Checkpoint& checkpoint) {
  return [&checkpoint](std::string_view name) {
    const TensorEntry& entry = *checkpoint.find(name);
    return SourceTensor{entry.name, entry.dtype};
  };
}

std::uint64_t stream_buffer_bytes(const StreamPlan& plan, int wanted_threads) {
  const std::uint64_t threads = worker_count(wanted_threads) + kWaitingThreads;
  return StreamPlan::kSlots * plan.slot_bytes + threads * (plan.turned_bytes + plan.piece_bytes);
}

WrittenData write_external_data(const OnnxModel& model, const Checkpoint& checkpoint,
                                std::vector<TensorReport> tensors, const std::filesystem::path& place,
                                const WeightStreamOptions& options) {
  return Streamer(model, checkpoint, std::move(tensors), place, options).run();
}

}  // namespace qvl
