#include "verify/quantized_compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/convert.h"
#include "core/mapped_file.h"
#include "core/parallel.h"
#include "quant/packed_blocks.h"
#include "quant/quantization_error.h"
#include "quant/quantized_weights.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::int64_t kPanelWeights = std::int64_t{1} << 20U;
constexpr double kErrorTolerance = 0.02;  // f16 scales are rounded once more than the manifest's error knows

// One weight, panel by panel of output channels.
class Comparison {
 public:
  Comparison(const MappedFile& file, const QuantizedTask& task, const Checkpoint& checkpoint)
      : file_(file),
        task_(task),
        checkpoint_(checkpoint),
        format_(parse_format(task.levels->quantization->format)) {
    format_.activations = ActivationRounding::kept;  // weights are the same either way
    const TensorEntry* entry = checkpoint.find(task.row->stored);
    source_ = entry->dtype;
    rows_ = task.row->shape.front();
    depth_ = *element_count(task.row->shape) / std::max<std::int64_t>(1, rows_);
    const Shape& shape = task.levels->shape;
    in_blocks_ = task.levels->dtype == DType::u8 && (task.table || shape.size() == 3 || format_.block != 0);
    in_rows_ = in_blocks_ || shape.size() != 2;
    groups_ = in_blocks_ ? (depth_ + block() - 1) / block() : format_.blocks(depth_);
    require_shapes();
  }

  // What is wrong; empty when nothing is.
  std::string run() {
    const std::int64_t step = std::max<std::int64_t>(1, kPanelWeights / std::max<std::int64_t>(1, depth_));
    for (std::int64_t first = 0; first < rows_; first += step) {
      panel(first, std::min(step, rows_ - first));
    }
    const TensorQuantization& q = *task_.levels->quantization;
    if (exact()) {
      if (wrong_ == 0) return "";
      return fmt::format(
          "{}: {} of {} bytes are not what rounding the checkpoint's weight to {} gives, the first in output "
          "channel {}",
          task_.levels->name, wrong_, total_, q.format, first_wrong_);
    }
    if (task_.smoothed) return "";
    const double found = error_.relative();
    if (std::abs(found - q.relative_error) <= kErrorTolerance * q.relative_error) return "";
    return fmt::format("{}: its error against the checkpoint's weight is {:.4g}; the manifest says {:.4g}",
                       task_.levels->name, found, q.relative_error);
  }

 private:
  [[nodiscard]] bool exact() const {
    return task_.levels->quantization->algorithm == "nearest" && !task_.smoothed;
  }

  // Weights that share a scale in the file.
  [[nodiscard]] std::int64_t block() const {
    if (in_blocks_) return stored_block(format_, depth_);
    return format_.block == 0 ? depth_ : format_.block;
  }

  void require_shapes() const {
    const auto bytes = static_cast<std::uint64_t>(in_blocks_ ? rows_ * groups_ * block() * format_.bits / 8
                                                             : rows_ * depth_);
    const auto count = element_count(task_.scales->shape);
    const bool is_byte = task_.levels->dtype == DType::u8 || task_.levels->dtype == DType::i8;
    if (!is_byte || task_.levels->size_bytes != bytes || count != rows_ * groups_ ||
        (task_.scales->dtype != DType::f32 && task_.scales->dtype != DType::f16)) {
      throw InputError(fmt::format("{} {} with {} scales cannot hold {} {} in {}", task_.levels->name,
                                   to_string(task_.levels->shape), count.value_or(-1), task_.row->name,
                                   to_string(task_.row->shape), to_string(format_)));
    }
  }

  // The export's numbers of some output channels.
  [[nodiscard]] std::vector<float> weight(std::int64_t first, std::int64_t count) const {
    const auto elements = static_cast<std::size_t>(count * depth_);
    std::vector<std::byte> stored(elements * size_bytes(source_));
    checkpoint_.read(task_.row->stored, static_cast<std::uint64_t>(first * depth_) * size_bytes(source_),
                     stored);
    std::vector<float> values(elements);
    if (task_.artifact == DType::f32) {
      convert(source_, stored, DType::f32, std::as_writable_bytes(std::span(values)), Isa::scalar);
      return values;
    }
    std::vector<std::byte> narrow(elements * size_bytes(task_.artifact));
    convert(source_, stored, task_.artifact, narrow, Isa::scalar);
    convert(task_.artifact, narrow, DType::f32, std::as_writable_bytes(std::span(values)), Isa::scalar);
    return values;
  }

  [[nodiscard]] std::vector<std::uint8_t> stored_levels(std::int64_t first, std::int64_t count) const {
    const auto row_bytes = static_cast<std::int64_t>(task_.levels->size_bytes) / rows_;
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count * row_bytes));
    const auto part = std::as_writable_bytes(std::span(bytes));
    if (in_rows_) {
      file_.read(task_.levels->offset_bytes + static_cast<std::uint64_t>(first * row_bytes), part);
      return bytes;
    }
    const auto run = static_cast<std::size_t>(count);
    for (std::int64_t k = 0; k < depth_; ++k) {
      file_.read(task_.levels->offset_bytes + static_cast<std::uint64_t>(k * rows_ + first),
                 part.subspan(static_cast<std::size_t>(k) * run, run));
    }
    return bytes;
  }

  [[nodiscard]] std::vector<std::byte> stored_scales(std::int64_t first, std::int64_t count) const {
    const auto row_bytes = static_cast<std::int64_t>(task_.scales->size_bytes) / rows_;
    std::vector<std::byte> bytes(static_cast<std::size_t>(count * row_bytes));
    file_.read(task_.scales->offset_bytes + static_cast<std::uint64_t>(first * row_bytes), bytes);
    return bytes;
  }

  void panel(std::int64_t first, std::int64_t count) {
    const WeightLayout layout{1, count, depth_, DepthAxis::contiguous};
    const std::vector<float> plain = weight(first, count);
    const std::vector<std::uint8_t> levels = stored_levels(first, count);
    const std::vector<std::byte> scales = stored_scales(first, count);
    if (exact()) {
      compare(first, quantize_weights(layout, format_, plain, Isa::scalar, 1), levels, scales);
    } else if (!task_.smoothed) {
      error_ += quantization_error(unpacked(layout, levels, scales), plain);
    }
  }

  void compare(std::int64_t first, const QuantizedWeights& expected, const std::vector<std::uint8_t>& levels,
               const std::vector<std::byte>& scales) {
    std::vector<std::uint8_t> codes;
    std::vector<float> steps;
    if (in_blocks_) {
      PackedBlocks packed = pack_blocks(expected, 0, 1);
      codes = std::move(packed.data);
      steps = std::move(packed.scales);
    } else {
      const std::int64_t count = expected.layout.rows;
      codes.resize(levels.size());
      for (std::int64_t r = 0; r < count; ++r) {
        for (std::int64_t k = 0; k < depth_; ++k)
          codes[static_cast<std::size_t>(in_rows_ ? r * depth_ + k : k * count + r)] =
              static_cast<std::uint8_t>(expected.levels[expected.layout.index(0, r, k)] + zero_point());
      }
      steps = expected.scales;
    }
    std::vector<std::byte> narrow(scales.size());
    convert(DType::f32, std::as_bytes(std::span(steps)), task_.scales->dtype, narrow, Isa::scalar);
    const std::int64_t rows = expected.layout.rows;
    const auto count_wrong = [&](auto found, auto wanted, bool by_columns) {
      total_ += found.size();
      for (std::size_t i = 0; i < found.size(); ++i) {
        if (found[i] == wanted[i]) continue;
        const auto per_row = static_cast<std::int64_t>(found.size()) / rows;
        const auto at = static_cast<std::int64_t>(i);
        if (wrong_++ == 0) first_wrong_ = first + (by_columns ? at % rows : at / per_row);
      }
    };
    count_wrong(std::span(levels), std::span(codes), !in_rows_);
    count_wrong(std::span(scales), std::span(narrow), false);
  }

  // What is stored, as levels and scales again.
  [[nodiscard]] QuantizedWeights unpacked(const WeightLayout& layout, const std::vector<std::uint8_t>& levels,
                                          const std::vector<std::byte>& scales) const {
    QuantizedWeights result{layout, format_, {}, {}};
    if (in_blocks_) result.format.block = block();
    result.levels.resize(layout.elements());
    result.scales.resize(static_cast<std::size_t>(layout.rows * groups_));
    convert(task_.scales->dtype, scales, DType::f32, std::as_writable_bytes(std::span(result.scales)),
            Isa::scalar);
    const std::int64_t row_bytes = in_blocks_ ? groups_ * block() * format_.bits / 8 : depth_;
    for (std::int64_t r = 0; r < layout.rows; ++r) {
      for (std::int64_t k = 0; k < depth_; ++k) {
        const auto at = static_cast<std::size_t>(!in_rows_           ? k * layout.rows + r
                                                 : format_.bits == 4 ? r * row_bytes + k / 2
                                                                     : r * row_bytes + k);
        int code = levels[at];
        if (format_.bits == 4) code = k % 2 == 0 ? code % 16 : code / 16;
        result.levels[layout.index(0, r, k)] = static_cast<std::int8_t>(code - zero_point());
      }
    }
    return result;
  }

  // What was added to the levels.
  [[nodiscard]] int zero_point() const {
    return task_.levels->dtype == DType::i8 ? 0 : 1 << (format_.bits - 1);
  }

  const MappedFile& file_;
  const QuantizedTask& task_;
  const Checkpoint& checkpoint_;
  Format format_;
  DType source_ = DType::f32;
  std::int64_t rows_ = 0;
  std::int64_t depth_ = 0;
  bool in_blocks_ = false;   // as MatMulNBits takes them, blocks filled up
  bool in_rows_ = false;     // one output channel after the other; else [depth, rows]
  std::int64_t groups_ = 0;  // scales of an output channel
  QuantizationError error_;
  std::uint64_t wrong_ = 0;
  std::uint64_t total_ = 0;
  std::int64_t first_wrong_ = 0;
};

const TensorReport* find(const ManifestArtifact& artifact, const std::string& name) {
  const auto found = std::ranges::find(artifact.tensors, name, &TensorReport::name);
  return found == artifact.tensors.end() ? nullptr : &*found;
}

}  // namespace

std::vector<QuantizedTask> quantized_tasks(const ManifestArtifact& artifact, const TensorRow& row,
                                           DType artifact_dtype) {
  std::vector<QuantizedTask> tasks;
  for (const char* stem : {".quantized", ".rows"}) {
    const TensorReport* levels = find(artifact, row.name + stem);
    if (levels == nullptr) continue;
    const bool table = std::string_view(stem) == ".rows";
    const TensorReport* scales = table ? find(artifact, row.name + ".rows.scales") : nullptr;
    if (scales == nullptr) scales = find(artifact, row.name + ".scales");  // a table may share the head's
    if (scales == nullptr || !levels->quantization)
      throw InputError(fmt::format("it has {}, but no scales or no format for it", levels->name));
    tasks.push_back({levels, scales, table, !table && find(artifact, row.name + ".smoothing") != nullptr,
                     &row, artifact_dtype});
  }
  return tasks;
}

WeightComparison compare_quantized(const std::filesystem::path& data_file,
                                   std::span<const QuantizedTask> tasks, const Checkpoint& checkpoint,
                                   const WeightCompareOptions& options) {
  const MappedFile file(data_file);
  WeightComparison result;
  std::vector<std::string> problems(tasks.size());
  parallel_for(tasks.size(), worker_count(options.threads), options.cancel, [&](std::size_t i, unsigned) {
    try {
      problems[i] = Comparison(file, tasks[i], checkpoint).run();
    } catch (const UsageError& error) {  // a format that there is not
      problems[i] = fmt::format("{}: {}", tasks[i].levels->name, error.what());
    }
    if (options.progress != nullptr) options.progress->advance(tasks[i].levels->size_bytes);
  });
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    result.bytes += tasks[i].levels->size_bytes + tasks[i].scales->size_bytes;
    ++result.tensors;
    if (!problems[i].empty()) result.problems.push_back(problems[i]);
  }
  return result;
}

}  // namespace qvl
