#include "models/tensor_table.h"

#include <fmt/format.h>

#include <utility>

#include "checkpoint/checkpoint.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::size_t kMostProblemsShown = 50;

// Buffers that some versions of the reference save although they can be computed, and the copy of a tied
// lm_head.
bool is_redundant(std::string_view name, bool tied) {
  return name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".rotary_pos_emb.inv_freq") ||
         (tied && name == "lm_head.weight");
}

}  // namespace

Shape TensorRow::graph_shape() const {
  if (transform == Transform::none) return shape;
  return {*element_count(std::span(shape).subspan(1)), shape.front()};
}

TensorTable::TensorTable(std::vector<TensorRow> rows, bool tied, bool shares_head)
    : rows_(std::move(rows)), tied_(tied), shares_head_(shares_head) {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].stored.empty()) rows_[i].stored = rows_[i].name;
    by_name_.emplace(rows_[i].name, i);
  }
}

const TensorRow& TensorTable::row(std::string_view name) const {
  const auto found = by_name_.find(std::string(name));
  if (found == by_name_.end()) throw UsageError(fmt::format("the model has no tensor {}", name));
  return rows_[found->second];
}

std::vector<TensorProblem> TensorTable::compare(const Checkpoint& checkpoint) const {
  std::vector<TensorProblem> problems;
  for (const TensorRow& row : rows_) {
    if (!row.in_checkpoint()) continue;
    const TensorEntry* entry = checkpoint.find(row.name);
    if (entry == nullptr) {
      problems.push_back({row.name, fmt::format("missing; {} is expected", to_string(row.shape))});
    } else if (entry->shape != row.shape) {
      problems.push_back({row.name, fmt::format("has the shape {}; {} is expected", to_string(entry->shape),
                                                to_string(row.shape))});
    } else if (entry->dtype != DType::f32 && entry->dtype != DType::f16 && entry->dtype != DType::bf16) {
      problems.push_back(
          {row.name, fmt::format("has the dtype {}; F32, F16 or BF16 is expected", name(entry->dtype))});
    }
  }
  for (const std::string& name : checkpoint.names()) {
    if (!by_name_.contains(name) && !is_redundant(name, tied_)) {
      problems.push_back({name, "not part of the model that config.json describes"});
    }
  }
  for (const Checkpoint::UnindexedTensor& tensor : checkpoint.unindexed()) {
    if (is_redundant(canonical_tensor_name(tensor.name), tied_)) continue;
    problems.push_back(
        {tensor.name, fmt::format("lies in {}, where the index does not place it", tensor.shard)});
  }
  return problems;
}

void TensorTable::require_match(const Checkpoint& checkpoint) const {
  const std::vector<TensorProblem> problems = compare(checkpoint);
  if (problems.empty()) return;
  std::string text = fmt::format(
      "{}: {} of its tensors do not fit its config.json:", checkpoint.folder().string(), problems.size());
  for (std::size_t i = 0; i < problems.size() && i < kMostProblemsShown; ++i) {
    text += fmt::format("\n  {}: {}", problems[i].name, problems[i].text);
  }
  if (problems.size() > kMostProblemsShown)
    text += fmt::format("\n  and {} more", problems.size() - kMostProblemsShown);
  throw InputError(text);
}

}  // namespace qvl
