#include "models/qwen25vl/tensors.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qvl::qwen25vl {
namespace {

constexpr std::string_view kEmbeddings = "model.embed_tokens.weight";

class Rows {
 public:
  Rows(bool tied, bool shares_head) : tied_(tied), shares_head_(shares_head) {}

  void add_vision(const VisionConfig& v);
  void add_text(const TextConfig& t);
  [[nodiscard]] std::vector<TensorRow> take() { return std::move(rows_); }

 private:
  void add(TensorRow row) { rows_.push_back(std::move(row)); }
  // A linear layer: weight [out, in], and bias [out] if it has one.
  void add_linear(TensorPart part, const std::string& name, std::int64_t in, std::int64_t out, bool bias);

  std::vector<TensorRow> rows_;
  bool tied_;
  bool shares_head_;
};

void Rows::add_linear(TensorPart part, const std::string& name, std::int64_t in, std::int64_t out,
                      bool bias) {
  add({name + ".weight", part, {out, in}, Transform::transpose, true});
  if (bias) add({name + ".bias", part, {out}, Transform::none, false});
}

// Module names of the reference: transformers, modeling_qwen2_5_vl.py.
void Rows::add_vision(const VisionConfig& v) {
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

void Rows::add_text(const TextConfig& t) {
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

}  // namespace

TensorTable tensor_table(const ModelConfig& config, TiedHead head) {
  const bool tied = config.text.tie_word_embeddings;
  const bool shares_head = tied && head == TiedHead::shared;
  Rows rows(tied, shares_head);
  rows.add_vision(config.vision);
  rows.add_text(config.text);
  return {rows.take(), tied, shares_head};
}

}  // namespace qvl::qwen25vl
