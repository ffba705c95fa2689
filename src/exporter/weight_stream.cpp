#include "exporter/weight_stream.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "core/output_file.h"
#include "exporter/transpose.h"

namespace qvl {
namespace {

// Source bytes that are worked on at a time. Each thread holds about three times this: the mapped pages, the
// converted rows and the transposed ones (twice as many bytes when BF16 becomes F32).
constexpr std::uint64_t kBlockBytes = std::uint64_t{16} << 20U;

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
    int count =
        options_.threads > 0 ? options_.threads : static_cast<int>(std::thread::hardware_concurrency());
    count = std::clamp(count, 1, 4);
    std::vector<std::thread> others;
    for (int i = 1; i < count; ++i) others.emplace_back([this] { work(); });
    work();
    for (std::thread& thread : others) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    file_.commit();
    return std::move(reports_);
  }

 private:
  // Takes tensor after tensor until none is left or something failed.
  void work() noexcept {
    try {
      Buffers buffers;
      for (std::size_t i = next_++; i < tensors_.size(); i = next_++) {
        if (failed_) return;
        reports_[i] = write_tensor(tensors_[i], buffers);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failed_) failure_ = std::current_exception();
      failed_ = true;
    }
  }

  struct Buffers {
    std::vector<std::byte> converted;
    std::vector<std::byte> transposed;
  };

  TensorReport write_tensor(const ExternalTensor& tensor, Buffers& buffers) {
    TensorReport report{
        tensor.name,       "", tensor.dtype, tensor.dtype, tensor.shape, Transform::none, tensor.offset_bytes,
        tensor.size_bytes, {}};
    if (tensor.values) {
      file_.write_at(tensor.offset_bytes, tensor.values->bytes());
      advance(tensor.size_bytes);
      return report;
    }
    const TensorEntry* entry = checkpoint_.find(tensor.name);
    report.source = entry->name;
    report.source_dtype = entry->dtype;
    report.transform = table_.row(tensor.name).transform;
    const TensorView view = checkpoint_.view(tensor.name);
    const std::int64_t rows = view.shape.empty() ? 1 : view.shape.front();
    const std::int64_t columns = rows == 0 ? 0 : *element_count(view.shape) / rows;
    const auto row_bytes = static_cast<std::uint64_t>(columns) * size_bytes(view.dtype);
    const auto block_rows = static_cast<std::int64_t>(
        std::max<std::uint64_t>(1, kBlockBytes / std::max<std::uint64_t>(1, row_bytes)));
    for (std::int64_t first = 0; first < rows; first += block_rows) {
      if (options_.cancel != nullptr) options_.cancel->throw_if_cancelled();
      const Block block{first, std::min(block_rows, rows - first), rows, columns};
      report.stats.merge(write_block(tensor, view, block, report.transform != Transform::none, buffers));
    }
    return report;
  }

  // Rows of a matrix [rows, columns].
  struct Block {
    std::int64_t first;
    std::int64_t count;
    std::int64_t rows;
    std::int64_t columns;
  };

  ConversionStats write_block(const ExternalTensor& tensor, const TensorView& view, const Block& block,
                              bool transposed, Buffers& buffers) {
    const std::size_t from_bytes = size_bytes(view.dtype);
    const std::size_t to_bytes = size_bytes(tensor.dtype);
    const auto elements = static_cast<std::size_t>(block.count * block.columns);
    const auto source = view.bytes.subspan(static_cast<std::size_t>(block.first * block.columns) * from_bytes,
                                           elements * from_bytes);
    buffers.converted.resize(elements * to_bytes);
    const ConversionStats stats = convert(view.dtype, source, tensor.dtype, buffers.converted);
    checkpoint_.release({view.dtype, {static_cast<std::int64_t>(elements)}, source});
    if (!transposed) {
      file_.write_at(tensor.offset_bytes + static_cast<std::uint64_t>(block.first * block.columns) * to_bytes,
                     buffers.converted);
    } else {
      buffers.transposed.resize(buffers.converted.size());
      transpose(buffers.converted, buffers.transposed, block.count, block.columns, to_bytes);
      write_transposed(tensor, block, to_bytes, buffers.transposed);
    }
    advance(elements * to_bytes);
    return stats;
  }

  // The block is a stripe of columns in the file, contiguous only when it is the whole tensor.
  void write_transposed(const ExternalTensor& tensor, const Block& block, std::size_t to_bytes,
                        std::span<const std::byte> bytes) {
    if (block.count == block.rows) {
      file_.write_at(tensor.offset_bytes, bytes);
      return;
    }
    const std::size_t run = static_cast<std::size_t>(block.count) * to_bytes;
    for (std::int64_t c = 0; c < block.columns; ++c) {
      file_.write_at(
          tensor.offset_bytes + static_cast<std::uint64_t>(c * block.rows + block.first) * to_bytes,
          bytes.subspan(static_cast<std::size_t>(c) * run, run));
    }
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
