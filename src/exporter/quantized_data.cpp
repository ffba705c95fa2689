#include "exporter/quantized_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/convert.h"
#include "core/parallel.h"
#include "core/sha256.h"
#include "quant/packed_blocks.h"
#include "quant/scale_search.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::uint64_t kCopyBytes = std::uint64_t{4} << 20U;
// Held of a weight in a panel: as it is stored, in the graph's dtype and in f32; then its level, twice.
constexpr std::uint64_t kPanelBytesPerWeight = 12;
// Of what is copied: itself, and what it is made of, as it is stored and turned.
constexpr std::uint64_t kCopiesOfBlock = 5;

// Of a copied piece: the smallest part that a source reads by itself.
std::uint64_t row_bytes(const QuantizedPiece& piece) {
  if (piece.shape.size() < 2 || piece.size_bytes == 0) return 1;
  const auto rows = static_cast<std::uint64_t>(
      std::accumulate(piece.shape.begin(), piece.shape.end() - 1, std::int64_t{1}, std::multiplies<>()));
  return rows == 0 || piece.size_bytes % rows != 0 ? 1 : piece.size_bytes / rows;
}

void smooth(const WeightLayout& layout, std::span<const float> factors, std::span<float> weights) {
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] *= factors[layout.channel(i)];
}

}  // namespace

std::uint64_t QuantizedData::buffer_bytes(const QuantizedGraph& graph, std::span<const QuantizedUnit> units,
                                          int threads) {
  std::uint64_t largest = 0;
  for (const QuantizedPiece& piece : graph.pieces()) {
    if (piece.kind == QuantizedPiece::Kind::copied)
      largest = std::max(largest,
                         kCopiesOfBlock * std::min(piece.size_bytes, std::max(kCopyBytes, row_bytes(piece))));
  }
  for (const QuantizedUnit& unit : units) {
    const std::int64_t panel =
        std::min(unit.layout.rows * unit.layout.depth, std::max(kPanelWeights, unit.layout.depth));
    largest = std::max(largest, kPanelBytesPerWeight * static_cast<std::uint64_t>(panel));
  }
  return worker_count(threads) * largest;
}

QuantizedData::QuantizedData(const QuantizedGraph& graph, std::span<const QuantizedUnit> units,
                             const WeightSource& source, const std::filesystem::path& place,
                             const QuantizedDataOptions& options)
    : graph_(graph),
      units_(units),
      source_(source),
      place_(place),
      options_(options),
      file_(place),
      pieces_(units.size()),
      put_(units.size(), false),
      errors_(units.size()) {
  for (const QuantizedPiece& piece : graph.pieces()) {
    using Kind = QuantizedPiece::Kind;
    if (piece.kind == Kind::copied || !piece.twin_of.empty()) continue;
    Pieces& own = pieces_.at(piece.unit);
    if (piece.kind == Kind::scales) {
      own.scales = &piece;
    } else if (piece.kind == Kind::smoothing) {
      own.smoothing = &piece;
    } else {
      own.levels = &piece;
    }
  }
  file_.reserve(graph.data_bytes());
}

void QuantizedData::write(std::uint64_t offset_bytes, std::span<const std::byte> bytes) {
  file_.write_at(offset_bytes, bytes);
  if (options_.progress == nullptr) return;
  const std::lock_guard lock(mutex_);
  options_.progress->advance(bytes.size());
}

void QuantizedData::write_scales(const QuantizedPiece& piece, std::uint64_t first,
                                 std::span<const float> scales) {
  const std::uint64_t offset = piece.offset_bytes + first * size_bytes(piece.dtype);
  if (piece.dtype == DType::f32) return write(offset, std::as_bytes(scales));
  std::vector<std::byte> narrow(scales.size() * size_bytes(piece.dtype));
  convert(DType::f32, std::as_bytes(scales), piece.dtype, narrow);
  write(offset, narrow);
}

void QuantizedData::write_blocks(const Task& task, const Pieces& pieces, QuantizedWeights weights) {
  weights.format.activations = ActivationRounding::kept;  // what is stored does not depend on them
  const PackedBlocks packed = pack_blocks(weights, 0, 1);
  const auto row = static_cast<std::uint64_t>(task.matrix * units_[task.unit].layout.rows + task.first);
  const auto rows = static_cast<std::uint64_t>(packed.rows);
  write(pieces.levels->offset_bytes + row * (packed.data.size() / rows),
        std::as_bytes(std::span(packed.data)));
  write_scales(*pieces.scales, row * (packed.scales.size() / rows), packed.scales);
}

// A byte a weight: output channel by output channel, or a column of them after the other. The panel may lie
// the other way.
void QuantizedData::write_levels(const Task& task, const Pieces& pieces, const QuantizedWeights& weights) {
  const QuantizedPiece& levels = *pieces.levels;
  const WeightLayout& panel = weights.layout;
  const int zero_point = levels.dtype == DType::u8 ? 128 : 0;
  const auto code = [&](std::int8_t level) { return static_cast<std::uint8_t>(level + zero_point); };
  std::vector<std::uint8_t> codes(weights.levels.size());
  const bool in_rows = levels.kind == QuantizedPiece::Kind::rows;
  if (in_rows == (panel.axis == DepthAxis::contiguous)) {
    std::ranges::transform(weights.levels, codes.begin(), code);
  } else {
    for (std::int64_t r = 0; r < panel.rows; ++r) {
      for (std::int64_t k = 0; k < panel.depth; ++k) {
        const std::int64_t at = in_rows ? r * panel.depth + k : k * panel.rows + r;
        codes[static_cast<std::size_t>(at)] = code(weights.levels[panel.index(0, r, k)]);
      }
    }
  }
  const std::span<const std::byte> bytes = std::as_bytes(std::span(codes));
  const auto first = static_cast<std::uint64_t>(task.first);
  const auto all_rows = static_cast<std::uint64_t>(units_[task.unit].layout.rows);
  const auto depth = static_cast<std::uint64_t>(panel.depth);
  const auto matrix = static_cast<std::uint64_t>(task.matrix);
  const std::uint64_t offset = levels.offset_bytes + matrix * all_rows * depth;
  if (in_rows) {
    write(offset + first * depth, bytes);
  } else if (panel.rows == units_[task.unit].layout.rows) {
    write(offset, bytes);
  } else {
    const auto run = static_cast<std::size_t>(panel.rows);
    for (std::int64_t k = 0; k < panel.depth; ++k) {
      write(offset + static_cast<std::uint64_t>(k) * all_rows + first,
            bytes.subspan(static_cast<std::size_t>(k) * run, run));
    }
  }
  const auto groups = static_cast<std::uint64_t>(weights.format.blocks(panel.depth));
  write_scales(*pieces.scales, (matrix * all_rows + first) * groups, weights.scales);
}

void QuantizedData::write_smoothing(std::size_t unit) {
  const QuantizedPiece* piece = pieces_[unit].smoothing;
  if (piece == nullptr) return;
  std::vector<float> reciprocal(units_[unit].smoothing);
  for (float& factor : reciprocal) factor = 1.0F / factor;
  write(piece->offset_bytes, std::as_bytes(std::span(reciprocal)));
}

// Sums of each task are added up in the tasks' order: the same to the bit for any number of threads.
QuantizationError QuantizedData::write_panel(const Task& task, const QuantizedWeights& weights,
                                             std::span<const float> plain) {
  const Pieces& pieces = pieces_[task.unit];
  if (pieces.levels->kind == QuantizedPiece::Kind::blocks) {
    write_blocks(task, pieces, weights);
  } else {
    write_levels(task, pieces, weights);
  }
  return quantization_error(weights, plain);
}

QuantizationError QuantizedData::make_panel(const Task& task) {
  const QuantizedUnit& unit = units_[task.unit];
  WeightLayout panel{1, task.count, unit.layout.depth, unit.layout.axis};
  std::vector<float> plain(panel.elements());
  panel.axis = source_.read_rows(task.unit, task.matrix, task.first, task.count, plain);
  if (!unit.smoothing.empty()) smooth(panel, unit.smoothing, plain);
  try {
    const bool search = unit.algorithm == WeightAlgorithm::least_squares;
    return write_panel(task,
                       search
                           ? quantize_least_squares(panel, unit.format, plain, unit.importance, best_isa(), 1)
                           : quantize_weights(panel, unit.format, plain, best_isa(), 1),
                       plain);
  } catch (const InputError& error) {
    throw InputError(fmt::format("{}, counted from output channel {} of matrix {}: {}", unit.name, task.first,
                                 task.matrix, error.what()));
  }
}

void QuantizedData::copy(const Task& task) {
  const QuantizedPiece& piece = *task.copied;
  std::vector<std::byte> bytes(static_cast<std::size_t>(task.count));
  source_.read(piece, static_cast<std::uint64_t>(task.first), bytes);
  write(piece.offset_bytes + static_cast<std::uint64_t>(task.first), bytes);
}

std::vector<QuantizedData::Task> QuantizedData::tasks() const {
  std::vector<Task> tasks;
  for (const QuantizedPiece& piece : graph_.pieces()) {
    if (piece.kind != QuantizedPiece::Kind::copied || !piece.twin_of.empty()) continue;
    const std::uint64_t row = row_bytes(piece);
    const std::uint64_t step = std::max<std::uint64_t>(1, kCopyBytes / row) * row;
    for (std::uint64_t at = 0; at < piece.size_bytes; at += step) {
      tasks.push_back({0, &piece, 0, static_cast<std::int64_t>(at),
                       static_cast<std::int64_t>(std::min(step, piece.size_bytes - at))});
    }
  }
  for (std::size_t u = 0; u < units_.size(); ++u) {
    if (put_[u] || pieces_[u].levels == nullptr) continue;  // made elsewhere, or another unit's
    const WeightLayout& layout = units_[u].layout;
    const std::int64_t step =
        std::max<std::int64_t>(1, kPanelWeights / std::max<std::int64_t>(1, layout.depth));
    for (std::int64_t m = 0; m < layout.matrices; ++m) {
      for (std::int64_t r = 0; r < layout.rows; r += step)
        tasks.push_back({u, nullptr, m, r, std::min(step, layout.rows - r)});
    }
  }
  return tasks;
}

void QuantizedData::put(std::size_t unit, const QuantizedWeights& weights, std::span<const float> plain) {
  if (weights.layout != units_[unit].layout || weights.layout.matrices != 1)
    throw UsageError("quantized weights of another unit");
  put_[unit] = true;
  write_smoothing(unit);
  errors_[unit] = write_panel({unit, nullptr, 0, 0, weights.layout.rows}, weights, plain);
}

WrittenQuantizedData QuantizedData::finish() {
  for (std::size_t u = 0; u < units_.size(); ++u) {
    if (!put_[u]) write_smoothing(u);
  }
  const std::vector<Task> todo = tasks();
  std::vector<QuantizationError> found(todo.size());
  parallel_for(todo.size(), worker_count(options_.threads), options_.cancel, [&](std::size_t i, unsigned) {
    if (todo[i].copied != nullptr) {
      copy(todo[i]);
    } else {
      found[i] = make_panel(todo[i]);
    }
  });
  for (std::size_t i = 0; i < todo.size(); ++i) errors_[todo[i].unit] += found[i];
  file_.commit();
  return {std::move(errors_), sha256_of_file(place_, options_.cancel)};
}

}  // namespace qvl
