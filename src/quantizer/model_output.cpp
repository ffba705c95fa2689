#include "quantizer/model_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

#include "core/output_file.h"
#include "folder/artifact_names.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// To six digits: which sums are taken first, and so the last bits, depends on how the source lies.
double rounded(double value) { return std::stod(fmt::format("{:.6g}", value)); }

const char* role_of(QuantizedPiece::Kind kind) {
  switch (kind) {
    case QuantizedPiece::Kind::scales:
      return "scales";
    case QuantizedPiece::Kind::smoothing:
      return "smoothing";
    case QuantizedPiece::Kind::blocks:
    case QuantizedPiece::Kind::columns:
    case QuantizedPiece::Kind::rows:
    case QuantizedPiece::Kind::copied:
      break;
  }
  return "levels";
}

}  // namespace

ModelOutput::ModelOutput(ParsedModel model, PreparedModel prepared, const std::string& plan_sha256)
    : prepared_(std::move(prepared)),
      graph_(std::move(model), prepared_.nodes, prepared_.tables,
             std::vector<std::pair<std::string, std::string>>{{"qvl.plan", plan_sha256}}) {
  written_.errors.resize(prepared_.units.size());
}

void ModelOutput::open(const fs::path& folder, const std::string& file, const WeightSource& weights,
                       const QuantizedDataOptions& options) {
  folder_ = folder;
  file_ = file;
  data_ = std::make_unique<QuantizedData>(graph_, prepared_.units, weights, folder / data_file_name(file),
                                          options);
}

void ModelOutput::open_twin(const fs::path& folder, const std::string& file, const ModelOutput& twin,
                            const QuantizedDataOptions& options, bool hard_link) {
  folder_ = folder;
  file_ = file;
  written_ = twin.written_;
  const fs::path from = twin.folder_ / data_file_name(twin.file_);
  if (options.progress != nullptr) options.progress->begin(file, graph_.data_bytes());
  (void)link_or_copy(from, folder / data_file_name(file), hard_link, options.cancel,
                     [&](std::uint64_t bytes) {
                       if (options.progress != nullptr) options.progress->advance(bytes);
                     });
  if (options.progress != nullptr) options.progress->end();
}

bool ModelOutput::is_twin_of(const ModelOutput& other) const {
  const auto made_alike = [&](const QuantizedPiece& a, const QuantizedPiece& b) {
    if (a.kind == QuantizedPiece::Kind::copied) return true;
    const QuantizedUnit& x = prepared_.units[a.unit];
    const QuantizedUnit& y = other.prepared_.units[b.unit];
    return x.format == y.format && x.algorithm == y.algorithm && x.importance == y.importance &&
           x.smoothing == y.smoothing;
  };
  return std::ranges::equal(graph_.pieces(), other.graph_.pieces(),
                            [&](const QuantizedPiece& a, const QuantizedPiece& b) {
                              return a.kind == b.kind && a.name == b.name && a.dtype == b.dtype &&
                                     a.shape == b.shape && a.offset_bytes == b.offset_bytes &&
                                     a.source == b.source && a.twin_of == b.twin_of && made_alike(a, b);
                            });
}

void ModelOutput::put(std::size_t index, const QuantizedWeights& weights, std::span<const float> plain) {
  data_->put(index, weights, plain);
}

void ModelOutput::finish() {
  if (data_) {
    written_ = data_->finish();
    data_.reset();
  }
  write_file(folder_ / file_, graph_.serialize(data_file_name(file_)));
}

std::vector<std::string> ModelOutput::notes() const {
  std::vector<std::string> notes;
  for (const KeptTable& table : prepared_.kept) {
    notes.push_back(
        fmt::format("the table {} {} stays as it is: {}", table.weight, to_string(table.shape), table.why));
  }
  std::set<std::string> told;
  for (const QuantizedTable& table : prepared_.tables) {
    if (!graph_.keeps(table.weight) || !told.insert(table.weight).second) continue;
    notes.push_back(
        fmt::format("{} is in the file as it is, too, since something else takes it: the embedding in {} "
                    "bits makes the file "
                    "larger. Units that take it share its bytes when they are in the embedding's format",
                    table.weight, table.bits));
  }
  for (const QuantizedNode& node : prepared_.nodes) {
    if (!graph_.keeps(node.weight) || !told.insert(node.weight).second) continue;
    notes.push_back(
        fmt::format("{} is in the file as it is, too, since something else takes it", node.weight));
  }
  return notes;
}

std::vector<TensorReport> ModelOutput::tensors(const std::vector<TensorReport>& before) const {
  std::vector<TensorReport> reports;
  for (const QuantizedPiece& piece : graph_.pieces()) {
    const bool copied = piece.kind == QuantizedPiece::Kind::copied;
    const std::string& source = copied ? piece.source : prepared_.weights[piece.unit].value;
    const auto known = std::ranges::find(before, source, &TensorReport::name);
    TensorReport report = known != before.end() ? *known : TensorReport{};
    report.name = piece.name;
    if (known == before.end()) report.source_dtype = piece.dtype;
    report.dtype = piece.dtype;
    report.shape = piece.shape;
    report.offset_bytes = piece.offset_bytes;
    report.size_bytes = piece.size_bytes;
    if (!copied) {
      const QuantizedUnit& unit = prepared_.units[piece.unit];
      const auto made = std::ranges::find(graph_.pieces(), piece.twin_of, &QuantizedPiece::name);
      const QuantizationError& error = written_.errors[(made == graph_.pieces().end() ? piece : *made).unit];
      const bool levels = std::string_view(role_of(piece.kind)) == "levels";
      report.quantization =
          TensorQuantization{role_of(piece.kind), to_string(unit.format), to_string(unit.algorithm),
                             levels ? rounded(error.relative()) : 0, levels ? error.largest : 0};
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace qvl
