#include "exporter/weight_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/convert.h"
#include "kernels/transpose.h"
#include "qvl/error.h"

namespace qvl {

void ModelWeightSource::read(const QuantizedPiece& piece, std::uint64_t offset_bytes,
                             std::span<std::byte> destination) const {
  graph_.read_external(piece.source_file, piece.source_offset_bytes + offset_bytes, destination);
}

DepthAxis ModelWeightSource::read_rows(std::size_t weight, std::int64_t matrix, std::int64_t first,
                                       std::int64_t count, std::span<float> out) const {
  const SourceWeight& info = weights_[weight];
  const WeightLayout& layout = info.layout;
  const auto copy = [&](std::size_t from, std::span<float> to) {
    if (info.held == nullptr) return graph_.read_f32(info.value, from, to);
    std::ranges::copy(std::span(*info.held).subspan(from, to.size()), to.begin());
  };
  if (layout.axis == DepthAxis::contiguous || count == layout.rows) {
    copy(layout.index(matrix, first, 0), out);
    return layout.axis;
  }
  const auto run = static_cast<std::size_t>(count);
  for (std::int64_t k = 0; k < layout.depth; ++k)
    copy(layout.index(matrix, first, k), out.subspan(static_cast<std::size_t>(k) * run, run));
  return DepthAxis::strided;
}

CheckpointWeightSource::CheckpointWeightSource(const Checkpoint& checkpoint, const OnnxModel& model,
                                               std::span<const TensorReport> tensors,
                                               std::span<const SourceWeight> weights)
    : checkpoint_(checkpoint), model_(model), weights_(weights), reports_(tensors.begin(), tensors.end()) {
  for (std::size_t i = 0; i < reports_.size(); ++i) by_name_.emplace(reports_[i].name, i);
}

std::size_t CheckpointWeightSource::index_of(const std::string& tensor) const {
  const auto found = by_name_.find(tensor);
  if (found == by_name_.end()) throw UsageError(fmt::format("the export has no tensor {}", tensor));
  return found->second;
}

void CheckpointWeightSource::convert_counted(std::size_t tensor, std::span<const std::byte> from,
                                             std::span<std::byte> to) const {
  const ConversionStats stats = convert(reports_[tensor].source_dtype, from, reports_[tensor].dtype, to);
  const std::lock_guard lock(mutex_);
  reports_[tensor].stats.merge(stats);
}

void CheckpointWeightSource::read(const QuantizedPiece& piece, std::uint64_t offset_bytes,
                                  std::span<std::byte> destination) const {
  const std::size_t index = index_of(piece.source);
  const TensorReport& report = reports_[index];
  const ExternalTensor& tensor = model_.external_tensors()[index];
  if (tensor.values) {
    std::ranges::copy(tensor.values->bytes().subspan(offset_bytes, destination.size()), destination.begin());
    return;
  }
  const std::uint64_t first = offset_bytes / size_bytes(report.dtype);
  if (report.transform != Transform::none) return read_transposed(index, first, destination);
  const std::size_t count = destination.size() / size_bytes(report.dtype);
  std::vector<std::byte> source(count * size_bytes(report.source_dtype));
  checkpoint_.read(canonical_source(report), first * size_bytes(report.source_dtype), source);
  convert_counted(index, source, destination);
}

// In whole rows of the turned matrix, as QuantizedData asks for them.
void CheckpointWeightSource::read_transposed(std::size_t tensor, std::uint64_t first,
                                             std::span<std::byte> destination) const {
  const TensorReport& report = reports_[tensor];
  const std::int64_t columns = report.shape.back();  // of the graph's [depth, rows]
  const std::int64_t depth = report.shape.front();
  const std::size_t width = size_bytes(report.source_dtype);
  const auto begin = static_cast<std::int64_t>(first) / columns;
  const auto count = static_cast<std::int64_t>(destination.size() / size_bytes(report.dtype)) / columns;
  if (begin * columns != static_cast<std::int64_t>(first) ||
      static_cast<std::size_t>(count * columns) * size_bytes(report.dtype) != destination.size()) {
    throw UsageError(fmt::format("{} is read in whole rows of {}", report.name, columns));
  }
  const std::size_t run = static_cast<std::size_t>(count) * width;
  std::vector<std::byte> window(static_cast<std::size_t>(columns) * run);
  const std::string stored = canonical_source(report);
  for (std::int64_t c = 0; c < columns; ++c) {
    checkpoint_.read(stored, static_cast<std::uint64_t>(c * depth + begin) * width,
                     std::span(window).subspan(static_cast<std::size_t>(c) * run, run));
  }
  std::vector<std::byte> turned(window.size());
  transpose(window, count, turned, columns, count, width);
  convert_counted(tensor, turned, destination);
}

// Through the export's own conversion, so that the numbers are those of the exported file.
DepthAxis CheckpointWeightSource::read_rows(std::size_t weight, std::int64_t /*matrix*/, std::int64_t first,
                                            std::int64_t count, std::span<float> out) const {
  const SourceWeight& info = weights_[weight];
  const std::size_t index = index_of(info.value);
  const TensorReport& report = reports_[index];
  const std::size_t elements = static_cast<std::size_t>(count * info.layout.depth);
  std::vector<std::byte> source(elements * size_bytes(report.source_dtype));
  checkpoint_.read(canonical_source(report),
                   static_cast<std::uint64_t>(first * info.layout.depth) * size_bytes(report.source_dtype),
                   source);
  if (report.dtype == DType::f32) {
    convert_counted(index, source, std::as_writable_bytes(out));
  } else {
    std::vector<std::byte> narrow(elements * size_bytes(report.dtype));
    convert_counted(index, source, narrow);
    convert(report.dtype, narrow, DType::f32, std::as_writable_bytes(out));
  }
  return DepthAxis::contiguous;
}

std::vector<TensorReport> CheckpointWeightSource::reports() const {
  const std::lock_guard lock(mutex_);
  return reports_;
}

}  // namespace qvl
