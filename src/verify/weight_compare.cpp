#include "verify/weight_compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <vector>

#include "core/convert.h"
#include "core/half.h"
#include "core/mapped_file.h"
#include "core/parallel.h"

namespace qvl {
namespace {

// Elements that are compared at a time: at most 16 MiB each of the checkpoint, of its conversion and of the
// file.
constexpr std::int64_t kPanelElements = std::int64_t{4} << 20;
// Two tiles of this side lie in the first-level cache together.
constexpr std::int64_t kTile = 64;

// Where a tensor is not what it must be. Elements are numbered in the order of the data file.
struct Differences {
  std::uint64_t count = 0;
  std::int64_t first = -1;
  std::uint64_t found_bits = 0;
  std::uint64_t expected_bits = 0;

  void add(std::int64_t element, std::uint64_t found, std::uint64_t expected) {
    ++count;
    if (first >= 0 && first <= element) return;
    first = element;
    found_bits = found;
    expected_bits = expected;
  }
};

std::string position(std::int64_t element, const Shape& shape) {
  std::vector<std::int64_t> place(shape.size());
  for (std::size_t d = shape.size(); d-- > 0;) {
    place[d] = element % shape[d];
    element /= shape[d];
  }
  return to_string(place);
}

std::string value(std::uint64_t bits, DType dtype) {
  const auto low = static_cast<std::uint32_t>(bits);
  if (dtype == DType::f32) return fmt::format("{} ({:#010x})", std::bit_cast<float>(low), low);
  if (dtype == DType::f16)
    return fmt::format("{} ({:#06x})", to_float(Half{static_cast<std::uint16_t>(low)}), low);
  return fmt::format("{}", static_cast<std::int64_t>(bits));
}

std::string line(const TensorReport& t, const Differences& d) {
  return fmt::format("{} is not what it was made from: element {} is {}; {} is expected; {} of {} differ",
                     t.name, position(d.first, t.shape), value(d.found_bits, t.dtype),
                     value(d.expected_bits, t.dtype), d.count, *element_count(t.shape));
}

template <class T>
T element_at(const std::byte* bytes, std::int64_t index) {
  T element;
  std::memcpy(&element, bytes + index * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return element;
}

// `count` elements of both from `first` on, in one order.
template <class T>
void compare_runs(const std::byte* found, const std::byte* expected, std::int64_t count, std::int64_t first,
                  Differences& differences) {
  if (std::memcmp(found, expected, static_cast<std::size_t>(count) * sizeof(T)) == 0) return;
  for (std::int64_t i = 0; i < count; ++i) {
    const T a = element_at<T>(found, i);
    const T b = element_at<T>(expected, i);
    if (a != b) differences.add(first + i, a, b);
  }
}

// A panel of a matrix [rows, columns] whose transpose lies in the file: rows first_row … of some columns.
struct Panel {
  std::int64_t first_row;
  std::int64_t rows;
  std::int64_t first_column;
  std::int64_t columns;
};

// `expected` is the panel row by row, `found` column by column.
template <class T>
void compare_transposed(const std::byte* found, const std::byte* expected, const Panel& p,
                        std::int64_t all_rows, Differences& differences) {
  for (std::int64_t r0 = 0; r0 < p.rows; r0 += kTile) {
    const std::int64_t r1 = std::min(p.rows, r0 + kTile);
    for (std::int64_t c0 = 0; c0 < p.columns; c0 += kTile) {
      const std::int64_t c1 = std::min(p.columns, c0 + kTile);
      T any = 0;
      for (std::int64_t c = c0; c < c1; ++c) {
        for (std::int64_t r = r0; r < r1; ++r) {
          any = static_cast<T>(
              any | (element_at<T>(found, c * p.rows + r) ^ element_at<T>(expected, r * p.columns + c)));
        }
      }
      if (any == 0) continue;
      for (std::int64_t c = c0; c < c1; ++c) {
        for (std::int64_t r = r0; r < r1; ++r) {
          const T a = element_at<T>(found, c * p.rows + r);
          const T b = element_at<T>(expected, r * p.columns + c);
          if (a != b) differences.add((p.first_column + c) * all_rows + p.first_row + r, a, b);
        }
      }
    }
  }
}

class Comparer {
 public:
  Comparer(const std::filesystem::path& data_file, std::span<const WeightTask> tasks,
           const Checkpoint* checkpoint, const WeightCompareOptions& options)
      : data_(data_file), tasks_(tasks), checkpoint_(checkpoint), options_(options), lines_(tasks.size()) {}

  WeightComparison run() {
    const auto workers = static_cast<unsigned>(options_.threads);
    std::vector<Buffers> buffers(workers);
    parallel_for(tasks_.size(), workers, options_.cancel, [&](std::size_t task, unsigned worker) {
      if (!stopped_) compare(task, buffers[worker]);
    });
    WeightComparison result;
    result.tensors = tensors_;
    result.bytes = bytes_;
    for (std::string& text : lines_) {
      if (!text.empty()) result.problems.push_back(std::move(text));
    }
    return result;
  }

 private:
  struct Buffers {
    std::vector<std::byte> source;
    std::vector<std::byte> expected;
    std::vector<std::byte> found;
  };

  void compare(std::size_t i, Buffers& buffers) {
    lines_[i] = tasks_[i].constant != nullptr ? constant(tasks_[i], buffers) : weight(tasks_[i], buffers);
    ++tensors_;
    bytes_ += tasks_[i].report->size_bytes;
    if (!lines_[i].empty() && options_.stop_at_first) stopped_ = true;
  }

  void done(std::uint64_t bytes) const {
    if (options_.progress != nullptr) options_.progress->advance(bytes);
    if (options_.cancel != nullptr) options_.cancel->throw_if_cancelled();
  }

  std::string constant(const WeightTask& task, Buffers& buffers) const {
    const TensorReport& t = *task.report;
    const Tensor& expected = *task.constant;
    if (!t.source.empty())
      return fmt::format("{} is computed by qvl; the manifest says that it is {}", t.name, t.source);
    if (expected.dtype() != t.dtype || expected.shape() != t.shape) {
      return fmt::format("{} is {} {}; {} {} is expected", t.name, name(t.dtype), to_string(t.shape),
                         name(expected.dtype()), to_string(expected.shape()));
    }
    Differences differences;
    buffers.found.resize(expected.bytes().size());
    data_.read(t.offset_bytes, buffers.found);
    compare(t.dtype, buffers.found, expected.bytes(), 0, differences);
    done(t.size_bytes);
    return differences.count == 0 ? "" : line(t, differences);
  }

  std::string weight(const WeightTask& task, Buffers& buffers) const {
    const TensorReport& t = *task.report;
    const std::string& stored = task.row->stored;
    const TensorEntry* entry = checkpoint_->find(stored);
    if (entry == nullptr) return fmt::format("{} is not in the checkpoint", stored);
    if (entry->name != t.source || entry->dtype != t.source_dtype) {
      return fmt::format("{} is {} {} in the checkpoint; the manifest says {} {}", t.name, entry->name,
                         name(entry->dtype), t.source.empty() ? "computed" : t.source, name(t.source_dtype));
    }
    const std::int64_t rows = entry->shape.empty() ? 1 : entry->shape.front();
    const std::int64_t all = *element_count(entry->shape);
    const std::int64_t columns = rows == 0 ? 0 : all / rows;
    const bool transposed = t.transform != Transform::none;
    if (t.shape != (transposed ? Shape{columns, rows} : entry->shape)) {
      return fmt::format("{} is {} in the checkpoint, which does not become {}", t.name,
                         to_string(entry->shape), to_string(t.shape));
    }
    Differences differences;
    const ConversionStats stats = transposed ? by_panels(t, stored, rows, columns, differences, buffers)
                                             : by_runs(t, stored, all, differences, buffers);
    if (differences.count != 0) return line(t, differences);
    if (stats != t.stats) {
      return fmt::format(
          "{}: converting it makes {} overflowed, {} subnormal and {} not finite values and an error of {}; "
          "the manifest says {}, {}, {} and {}",
          t.name, stats.overflowed, stats.subnormal, stats.not_finite, stats.max_abs_error,
          t.stats.overflowed, t.stats.subnormal, t.stats.not_finite, t.stats.max_abs_error);
    }
    return "";
  }

  // The tensor lies in the file as it lies in the checkpoint.
  ConversionStats by_runs(const TensorReport& t, const std::string& stored, std::int64_t all,
                          Differences& differences, Buffers& buffers) const {
    ConversionStats stats;
    for (std::int64_t first = 0; first < all; first += kPanelElements) {
      const std::int64_t count = std::min(kPanelElements, all - first);
      read_converted(t, stored, first, count, buffers, stats);
      buffers.found.resize(buffers.expected.size());
      data_.read(t.offset_bytes + static_cast<std::uint64_t>(first) * size_bytes(t.dtype), buffers.found);
      compare(t.dtype, buffers.found, buffers.expected, first, differences);
      done(buffers.found.size());
    }
    return stats;
  }

  // Its transpose lies in the file. The checkpoint is read in whole rows, as it lies; only rows too long for
  // a panel are taken apart.
  ConversionStats by_panels(const TensorReport& t, const std::string& stored, std::int64_t rows,
                            std::int64_t columns, Differences& differences, Buffers& buffers) const {
    ConversionStats stats;
    const std::int64_t wide = std::clamp<std::int64_t>(columns, 1, kPanelElements);
    const std::int64_t high =
        std::clamp<std::int64_t>(kPanelElements / wide, 1, std::max<std::int64_t>(rows, 1));
    for (std::int64_t row = 0; row < rows; row += high) {
      for (std::int64_t column = 0; column < columns; column += wide) {
        const Panel p{row, std::min(high, rows - row), column, std::min(wide, columns - column)};
        read_converted(t, stored, row * columns + column, p.rows * p.columns, buffers, stats);
        read_found(t, p, rows, buffers.found);
        if (size_bytes(t.dtype) == 2) {
          compare_transposed<std::uint16_t>(buffers.found.data(), buffers.expected.data(), p, rows,
                                            differences);
        } else {
          compare_transposed<std::uint32_t>(buffers.found.data(), buffers.expected.data(), p, rows,
                                            differences);
        }
        done(buffers.found.size());
      }
    }
    return stats;
  }

  // Elements of the checkpoint's tensor, as the manifest says that they were converted. Throws UsageError for
  // a conversion that does not exist.
  void read_converted(const TensorReport& t, const std::string& stored, std::int64_t first,
                      std::int64_t count, Buffers& buffers, ConversionStats& stats) const {
    const std::size_t from_bytes = size_bytes(t.source_dtype);
    buffers.source.resize(static_cast<std::size_t>(count) * from_bytes);
    checkpoint_->read(stored, static_cast<std::uint64_t>(first) * from_bytes, buffers.source);
    buffers.expected.resize(static_cast<std::size_t>(count) * size_bytes(t.dtype));
    stats.merge(convert(t.source_dtype, buffers.source, t.dtype, buffers.expected, Isa::scalar));
  }

  // The panel's elements from the file, column after column.
  void read_found(const TensorReport& t, const Panel& p, std::int64_t all_rows,
                  std::vector<std::byte>& found) const {
    const std::size_t element = size_bytes(t.dtype);
    found.resize(static_cast<std::size_t>(p.rows * p.columns) * element);
    const auto offset = [&](std::int64_t column) {
      return t.offset_bytes + static_cast<std::uint64_t>(column * all_rows + p.first_row) * element;
    };
    if (p.rows == all_rows) {
      data_.read(offset(p.first_column), found);
      return;
    }
    const std::size_t run = static_cast<std::size_t>(p.rows) * element;
    for (std::int64_t c = 0; c < p.columns; ++c) {
      data_.read(offset(p.first_column + c),
                 std::span(found).subspan(static_cast<std::size_t>(c) * run, run));
    }
  }

  static void compare(DType dtype, std::span<const std::byte> found, std::span<const std::byte> expected,
                      std::int64_t first, Differences& differences) {
    const auto count = static_cast<std::int64_t>(found.size() / size_bytes(dtype));
    switch (size_bytes(dtype)) {
      case 1:
        return compare_runs<std::uint8_t>(found.data(), expected.data(), count, first, differences);
      case 2:
        return compare_runs<std::uint16_t>(found.data(), expected.data(), count, first, differences);
      case 4:
        return compare_runs<std::uint32_t>(found.data(), expected.data(), count, first, differences);
      default:
        return compare_runs<std::uint64_t>(found.data(), expected.data(), count, first, differences);
    }
  }

  MappedFile data_;
  std::span<const WeightTask> tasks_;
  const Checkpoint* checkpoint_;
  const WeightCompareOptions& options_;
  std::vector<std::string> lines_;  // by task; empty: nothing is wrong
  std::atomic<bool> stopped_{false};
  std::atomic<std::uint64_t> tensors_{0};
  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace

WeightComparison compare_weights(const std::filesystem::path& data_file, std::span<const WeightTask> tasks,
                                 const Checkpoint* checkpoint, const WeightCompareOptions& options) {
  return Comparer(data_file, tasks, checkpoint, options).run();
}

}  // namespace qvl
