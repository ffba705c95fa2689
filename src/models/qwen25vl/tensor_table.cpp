#include "models/qwen25vl/tensor_table.h"

#include <fmt/format.h>

#include "checkpoint/checkpoint.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::size_t kMostProblemsShown = 50;
constexpr std::string_view kEmbeddings = "model.embed_tokens.weight";

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

TensorTable::TensorTable(const ModelConfig& config, TiedHead head)
    : tied_(config.text.tie_word_embeddings), shares_head_(tied_ && head == TiedHead::shared) {
  add_vision(config.vision);
  add_text(config.text);
}

void TensorTable::add(TensorRow row) {
  if (row.stored.empty()) row.stored = row.name;
  by_name_.emplace(row.name, rows_.size());
  rows_.push_back(std::move(row));
}

void TensorTable::add_linear(TensorPart part, const std::string& name, std::int64_t in, std::int64_t out,
                             bool bias) {
  add({name + ".weight", part, {out, in}, Transform::transpose, true});
  if (bias) add({name + ".bias", part, {out}, Transform::none, false});
}

// Module names of the reference: transformers, modeling_qwen2_5_vl.py.
void TensorTable::add_vision(const VisionConfig& v) {
  const auto norm = [&](const std::string& name) {
    add({name + ".weight", TensorPart::vision, {v.hidden_size}, Transform::none, false});
  };
  add({"visual.patch_embed.proj.weight",
       TensorPart::vision,
       {v.hidden_size, v.in_channels, v.temporal_patch_size, v.patch_size, v.patch_size},
       Transform::flatten_transpose,
       true});
  for (std::int64_t i = 0; i < v.depth; ++i) {
    const std::string block = fmt::format("visual.blocks.{}.", i);
    norm(block + "norm1");
    add_linear(TensorPart::vision, block + "attn.qkv", v.hidden_size, 3 * v.hidden_size, true);
    add_linear(TensorPart::vision, block + "attn.proj", v.hidden_size, v.hidden_size, true);
    norm(block + "norm2");
    add_linear(TensorPart::vision, block + "mlp.gate_proj", v.hidden_size, v.intermediate_size, true);
    add_linear(TensorPart::vision, block + "mlp.up_proj", v.hidden_size, v.intermediate_size, true);
    add_linear(TensorPart::vision, block + "mlp.down_proj", v.intermediate_size, v.hidden_size, true);
  }
  const std::int64_t merged = v.hidden_size * v.spatial_merge_size * v.spatial_merge_size;
  norm("visual.merger.ln_q");
  add_linear(TensorPart::vision, "visual.merger.mlp.0", merged, merged, true);
  add_linear(TensorPart::vision, "visual.merger.mlp.2", merged, v.out_hidden_size, true);
}

void TensorTable::add_text(const TextConfig& t) {
  const auto norm = [&](const std::string& name) {
    add({name + ".weight", TensorPart::text, {t.hidden_size}, Transform::none, false});
  };
  add({std::string(kEmbeddings),
       TensorPart::text,
       {t.vocab_size, t.hidden_size},
       Transform::none,
       shares_head_});
  const std::int64_t kv = t.num_key_value_heads * t.head_size();
  for (std::int64_t i = 0; i < t.num_hidden_layers; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    norm(layer + "input_layernorm");
    add_linear(TensorPart::text, layer + "self_attn.q_proj", t.hidden_size, t.hidden_size, true);
    add_linear(TensorPart::text, layer + "self_attn.k_proj", t.hidden_size, kv, true);
    add_linear(TensorPart::text, layer + "self_attn.v_proj", t.hidden_size, kv, true);
    add_linear(TensorPart::text, layer + "self_attn.o_proj", t.hidden_size, t.hidden_size, false);
    norm(layer + "post_attention_layernorm");
    add_linear(TensorPart::text, layer + "mlp.gate_proj", t.hidden_size, t.intermediate_size, false);
    add_linear(TensorPart::text, layer + "mlp.up_proj", t.hidden_size, t.intermediate_size, false);
    add_linear(TensorPart::text, layer + "mlp.down_proj", t.intermediate_size, t.hidden_size, false);
  }
  norm("model.norm");
  if (shares_head_) return;
  add({"lm_head.weight",
       TensorPart::text,
       {t.vocab_size, t.hidden_size},
       Transform::transpose,
       true,
       std::string(tied_ ? kEmbeddings : "")});
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
