#include "exporter/weight_stream.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "core/output_file.h"
#include "exporter/transpose.h"

namespace qvl {
namespace {

// Bytes of the data file that are made at a time. Each thread holds at most three times this: what was read,
// converted and transposed.
constexpr std::int64_t kBlockBytes = std::int64_t{16} << 20;
// Keeps all threads' blocks far below the 512 MiB that an export may hold.
constexpr unsigned kMostThreads = 8;

class Streamer {
 public:
  Streamer(const OnnxModel& model, const Checkpoint& checkpoint, const TensorTable& table,
           const std::filesystem::path& place, const WeightStreamOptions& options)
      : tensors_(model.external_tensors()),
        checkpoint_(checkpoint),
        table_(table),
        options_(options),
        file_(place),
        reports_(tensors_.size()) {
    file_.reserve(model.external_size_bytes());
  }

  std::vector<TensorReport> run() {
    const unsigned wanted =
        options_.threads > 0 ? static_cast<unsigned>(options_.threads) : std::thread::hardware_concurrency();
    {
      std::vector<std::jthread> others;
      try {
        while (others.size() + 1 < std::min(wanted, kMostThreads)) others.emplace_back([this] { work(); });
      } catch (const std::system_error&) {
        // Fewer threads than wanted can be had: those that there are do the work.
      }
      work();
    }
    if (failure_) std::rethrow_exception(failure_);
    file_.commit();
    return std::move(reports_);
  }

 private:
  struct Buffers {
    std::vector<std::byte> read;
    std::vector<std::byte> converted;
    std::vector<std::byte> transposed;
  };

  // A tensor as a matrix [rows, columns] in the checkpoint, and how many bytes its elements have there and
  // here.
  struct Matrix {
    std::int64_t rows;
    std::int64_t columns;
    std::size_t from_bytes;
    std::size_t to_bytes;
  };

  // Takes tensor after tensor until none is left or something failed.
  void work() noexcept {
    try {
      Buffers buffers;
      for (std::size_t i = next_++; i < tensors_.size(); i = next_++)
        reports_[i] = write_tensor(tensors_[i], buffers);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failed_) failure_ = std::current_exception();
      failed_ = true;
      next_ = tensors_.size();
    }
  }

  TensorReport write_tensor(const ExternalTensor& tensor, Buffers& buffers) {
    TensorReport report{
        tensor.name,       "", tensor.dtype, tensor.dtype, tensor.shape, Transform::none, tensor.offset_bytes,
        tensor.size_bytes, {}};
    if (tensor.values) {
      file_.write_at(tensor.offset_bytes, tensor.values->bytes());
      advance(tensor.size_bytes);
      return report;
    }
    const TensorEntry& entry = *checkpoint_.find(tensor.name);
    report.source = entry.name;
    report.source_dtype = entry.dtype;
    report.transform = table_.row(tensor.name).transform;
    const std::int64_t rows = entry.shape.empty() ? 1 : entry.shape.front();
    const Matrix matrix{rows, *element_count(entry.shape) / rows, size_bytes(entry.dtype),
                        size_bytes(tensor.dtype)};
    report.stats = report.transform == Transform::none ? write_rows(tensor, entry.dtype, matrix, buffers)
                                                       : write_columns(tensor, entry.dtype, matrix, buffers);
    return report;
  }

  // As it lies, whole runs of elements at a time.
  ConversionStats write_rows(const ExternalTensor& tensor, DType from, const Matrix& m, Buffers& buffers) {
    ConversionStats stats;
    const std::int64_t all = m.rows * m.columns;
    const std::int64_t step = kBlockBytes / static_cast<std::int64_t>(m.to_bytes);
    for (std::int64_t first = 0; first < all; first += step) {
      stop_if_asked();
      const auto count = static_cast<std::size_t>(std::min(step, all - first));
      const auto at = static_cast<std::uint64_t>(first);
      buffers.read.resize(count * m.from_bytes);
      checkpoint_.read(tensor.name, at * m.from_bytes, buffers.read);
      buffers.converted.resize(count * m.to_bytes);
      stats.merge(convert(from, buffers.read, tensor.dtype, buffers.converted));
      file_.write_at(tensor.offset_bytes + at * m.to_bytes, buffers.converted);
      advance(buffers.converted.size());
    }
    return stats;
  }

  // Transposed: a stripe of columns of all rows becomes one contiguous run of the file.
  ConversionStats write_columns(const ExternalTensor& tensor, DType from, const Matrix& m, Buffers& buffers) {
    ConversionStats stats;
    const std::int64_t column_bytes = m.rows * static_cast<std::int64_t>(m.to_bytes);
    const std::int64_t step = std::clamp<std::int64_t>(kBlockBytes / column_bytes, 1, m.columns);
    for (std::int64_t first = 0; first < m.columns; first += step) {
      stop_if_asked();
      const std::int64_t count = std::min(step, m.columns - first);
      const auto elements = static_cast<std::size_t>(m.rows * count);
      buffers.read.resize(elements * m.from_bytes);
      read_stripe(tensor.name, m, first, count, buffers.read);
      buffers.converted.resize(elements * m.to_bytes);
      stats.merge(convert(from, buffers.read, tensor.dtype, buffers.converted));
      buffers.transposed.resize(buffers.converted.size());
      transpose(buffers.converted, buffers.transposed, m.rows, count, m.to_bytes);
      file_.write_at(tensor.offset_bytes + static_cast<std::uint64_t>(first * column_bytes),
                     buffers.transposed);
      advance(buffers.transposed.size());
    }
    return stats;
  }

  void read_stripe(const std::string& name, const Matrix& m, std::int64_t first, std::int64_t count,
                   std::span<std::byte> destination) const {
    if (count == m.columns) {
      checkpoint_.read(name, 0, destination);
      return;
    }
    const std::size_t run = static_cast<std::size_t>(count) * m.from_bytes;
    for (std::int64_t row = 0; row < m.rows; ++row) {
      checkpoint_.read(name, static_cast<std::uint64_t>(row * m.columns + first) * m.from_bytes,
                       destination.subspan(static_cast<std::size_t>(row) * run, run));
    }
  }

  // Another thread's failure ends this one's work too; the exception that counts is the first.
  void stop_if_asked() const {
    if (options_.cancel != nullptr) options_.cancel->throw_if_cancelled();
    if (failed_) throw Interrupted("another thread failed");
  }

  void advance(std::uint64_t bytes) {
    if (options_.progress == nullptr) return;
    const std::lock_guard lock(mutex_);
    options_.progress->advance(bytes);
  }

  const std::vector<ExternalTensor>& tensors_;
  const Checkpoint& checkpoint_;
  const TensorTable& table_;
  const WeightStreamOptions& options_;
  OutputFile file_;
  std::vector<TensorReport> reports_;
  std::atomic<std::size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;  // of progress and failure
  std::exception_ptr failure_;
};

}  // namespace

std::vector<TensorReport> write_external_data(const OnnxModel& model, const Checkpoint& checkpoint,
                                              const TensorTable& table, const std::filesystem::path& place,
                                              const WeightStreamOptions& options) {
  return Streamer(model, checkpoint, table, place, options).run();
}

}  // namespace qvl
