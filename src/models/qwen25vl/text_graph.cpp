#include "models/qwen25vl/text_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/graph_layers.h"
#include "qvl/error.h"

namespace qvl::qwen25vl {
namespace {

class TextGraph {
 public:
  TextGraph(const ModelConfig& config, const TensorTable& table, const TextGraphOptions& options)
      : config_(config),
        text_(config.text),
        options_(options),
        shares_head_(table.shares_head()),
        graph_(options.with_image ? "qwen2_5_vl_text_with_image" : "qwen2_5_vl_text"),
        layers_(graph_, table, options.dtype) {}

  OnnxModel build() {
    const Dim batch = Dim::symbol("batch");
    const Dim seq = Dim::symbol("seq");
    input_ids_ = graph_.input("input_ids", DType::i64, {batch, seq});
    const DType mask_dtype = options_.mask_type == MaskType::int64 ? DType::i64 : DType::boolean;
    const Value attention_mask = graph_.input("attention_mask", mask_dtype, {batch, seq});
    Value hidden;
    {
      const auto root = graph_.module("model");
      const Value mask = is_token(attention_mask);
      hidden = embed();
      make_rotary_tables(mask);
      make_attention_bias(mask);
      for (std::int64_t i = 0; i < text_.num_hidden_layers; ++i) hidden = layer(hidden, i);
      hidden = layers_.rms_norm(hidden, "model.norm", "norm", text_.rms_norm_eps);
    }
    graph_.output(lm_head(hidden), "logits");
    return graph_.finish(options_.metadata);
  }

 private:
  // Boolean. No Cast: one of the two that would follow each other reads an input of the graph, and Intel
  // Neural Compressor's pass over pairs of Casts looks for the node before the first.
  Value is_token(const Value& mask) {
    if (mask.dtype == DType::boolean) return mask;
    return graph_.logical_not(graph_.equal(mask, graph_.scalar(std::int64_t{0})));
  }

  // [batch, seq, hidden]
  Value embed() {
    const auto scope = graph_.module("embed_tokens");
    const Value words = graph_.gather_rows(layers_.weight("model.embed_tokens.weight"), input_ids_);
    if (!options_.with_image) return words;
    const Value image_embeds = graph_.input("image_embeds", options_.dtype, words.shape);
    const Value is_image = graph_.equal(input_ids_, graph_.scalar(config_.image_token_id));
    return graph_.where(graph_.unsqueeze(is_image, {2}), image_embeds, words);
  }

  // cos and sin [batch, seq, 1, 1, head size] of the angles, computed in f32; the scale of the attention
  // scores is folded into the queries' so that the product of query and key stays small in f16.
  void make_rotary_tables(const Value& mask) {
    const auto scope = graph_.module("rotary_emb");
    const RopePositions positions =
        add_rope_positions(graph_, input_ids_, mask, config_.image_token_id, options_);
    const Value half =
        options_.with_image ? angles_of_sections(positions) : angles(positions.time, 0, pairs());
    const Value whole = graph_.unsqueeze(graph_.concat({half, half}, -1), {2, 3});
    const Value cos = graph_.cos(whole);
    const Value sin = graph_.sin(whole);
    const Value scale = graph_.scalar(1.0F / std::sqrt(static_cast<float>(text_.head_size())), DType::f32);
    key_cos_ = graph_.cast(cos, options_.dtype);
    key_sin_ = graph_.cast(sin, options_.dtype);
    query_cos_ = graph_.cast(graph_.mul(cos, scale), options_.dtype);
    query_sin_ = graph_.cast(graph_.mul(sin, scale), options_.dtype);
  }

  [[nodiscard]] std::int64_t pairs() const { return text_.head_size() / 2; }

  // Each section of the pairs of dimensions turns by its own row of positions: time, height, width.
  Value angles_of_sections(const RopePositions& positions) {
    const std::vector<Value> rows{positions.time, positions.height, positions.width};
    std::vector<Value> parts;
    std::int64_t first = 0;
    for (std::size_t s = 0; s < text_.mrope_section.size(); ++s) {
      if (text_.mrope_section[s] == 0) continue;
      parts.push_back(angles(rows[s % 3], first, text_.mrope_section[s]));
      first += text_.mrope_section[s];
    }
    return parts.size() == 1 ? parts.front() : graph_.concat(parts, -1);
  }

  // positions [batch, seq] -> f32 [batch, seq, count]: times the inverse frequencies first .. first + count
  // - 1.
  Value angles(const Value& positions, std::int64_t first, std::int64_t count) {
    Tensor frequencies(DType::f32, {count});
    for (std::int64_t i = 0; i < count; ++i) {
      const float exponent = static_cast<float>(2 * (first + i)) / static_cast<float>(text_.head_size());
      frequencies.as<float>()[static_cast<std::size_t>(i)] =
          1.0F / std::pow(static_cast<float>(text_.rope_theta), exponent);
    }
    const Value wide = graph_.unsqueeze(graph_.cast(positions, DType::f32), {2});
    return graph_.mul(
        wide, graph_.constant(fmt::format("rotary.inv_freq.{}_{}", first, count), std::move(frequencies)));
  }

  // f32 [batch, 1, 1, seq, seq]: 0 where the row's token may see the column's, the lowest float elsewhere
  // (not minus infinity: a row that sees nothing, at left padding, must not become NaN).
  void make_attention_bias(const Value& mask) {
    const auto scope = graph_.module("attention_mask");
    const Value index = graph_.range_of_axis(input_ids_, 1);
    const Value causal = graph_.less_or_equal(graph_.unsqueeze(index, {0}), graph_.unsqueeze(index, {1}));
    const Value allowed = graph_.logical_and(causal, graph_.unsqueeze(mask, {1, 2, 3}));
    bias_ = graph_.where(allowed, graph_.scalar(0.0F, DType::f32),
                         graph_.scalar(std::numeric_limits<float>::lowest(), DType::f32));
  }

  Value layer(const Value& x, std::int64_t index) {
    const auto scope = graph_.module(fmt::format("layers.{}", index));
    const std::string name = fmt::format("model.layers.{}", index);
    const Value normed =
        layers_.rms_norm(x, name + ".input_layernorm", "input_layernorm", text_.rms_norm_eps);
    const Value attended = graph_.add(x, attention(normed, name + ".self_attn"));
    const Value normed2 = layers_.rms_norm(attended, name + ".post_attention_layernorm",
                                           "post_attention_layernorm", text_.rms_norm_eps);
    return graph_.add(attended, layers_.gated_mlp(normed2, name + ".mlp", false));
  }

  // Grouped-query attention: the query heads of one key head form an axis of their own, over which keys and
  // values broadcast instead of being repeated.
  Value attention(const Value& x, const std::string& name) {
    const auto scope = graph_.module("self_attn");
    const Value q = layers_.linear(x, name + ".q_proj", "q_proj", true);
    const Value k = layers_.linear(x, name + ".k_proj", "k_proj", true);
    const Value v = layers_.linear(x, name + ".v_proj", "v_proj", true);
    const std::int64_t groups = text_.num_key_value_heads;
    const std::int64_t per_group = text_.num_attention_heads / groups;
    const SymbolicShape query_heads{x.shape[0], x.shape[1], groups, per_group, text_.head_size()};
    const SymbolicShape key_heads{x.shape[0], x.shape[1], groups, 1, text_.head_size()};
    const Value queries = graph_.transpose(
        layers_.rotate(graph_.reshape(q, query_heads), query_cos_, query_sin_), {0, 2, 3, 1, 4});
    const Value keys =
        graph_.transpose(layers_.rotate(graph_.reshape(k, key_heads), key_cos_, key_sin_), {0, 2, 3, 4, 1});
    const Value values = graph_.transpose(graph_.reshape(v, key_heads), {0, 2, 3, 1, 4});
    const Value scores = graph_.add(graph_.cast(graph_.matmul(queries, keys), DType::f32), bias_);
    const Value mixed = graph_.matmul(layers_.softmax(scores), values);
    const Value joined = graph_.reshape(graph_.transpose(mixed, {0, 3, 1, 2, 4}), x.shape);
    return layers_.linear(joined, name + ".o_proj", "o_proj", false);
  }

  // A shared lm_head is the embedding table itself, stored once: a Gemm reads it transposed.
  Value lm_head(const Value& hidden) {
    if (!shares_head_) return layers_.linear(hidden, "lm_head", "lm_head", false);
    const auto scope = graph_.module("lm_head");
    const Value rows = graph_.reshape(hidden, {hidden.shape[0] * hidden.shape[1], hidden.shape[2]});
    const Value logits = graph_.gemm_transposed(rows, layers_.weight("model.embed_tokens.weight"));
    return graph_.reshape_like(logits, input_ids_, {hidden.shape[0], hidden.shape[1], text_.vocab_size});
  }

  const ModelConfig& config_;
  const TextConfig& text_;
  const TextGraphOptions& options_;
  const bool shares_head_;
  GraphBuilder graph_;
  GraphLayers layers_;
  Value input_ids_, key_cos_, key_sin_, query_cos_, query_sin_, bias_;
};

}  // namespace

RopePositions add_rope_positions(GraphBuilder& graph, const Value& input_ids, const Value& mask,
                                 std::int64_t image_token_id, const TextGraphOptions& options) {
  const Value is_token = graph.cast(mask, DType::i64);
  if (!options.with_image) {
    // Tokens before this one; padding, which counts none, keeps 0 on the left and is reset to 0 on the right.
    const Value position = graph.mul(graph.cumsum_exclusive(is_token, 1), is_token);
    return {position, position, position};
  }
  const Value image = graph.logical_and(graph.equal(input_ids, graph.scalar(image_token_id)), mask);
  const Value is_image = graph.cast(image, DType::i64);
  const Value is_text = graph.sub(is_token, is_image);
  const Value text_before = graph.cumsum_exclusive(is_text, 1);
  const Value image_before = graph.cumsum_exclusive(is_image, 1);
  // Every picture has rows x columns tokens and moves the position on by the longer side. For an image token
  // the number of image tokens before it tells both its picture and its place there; for a text token, the
  // pictures so far.
  const std::int64_t rows = options.picture_rows_tokens;
  const std::int64_t columns = options.picture_columns_tokens;
  const Value per_picture = graph.scalar(rows * columns);
  const Value pictures = graph.div(image_before, per_picture);
  const Value place = graph.sub(image_before, graph.mul(pictures, per_picture));
  const Value row = graph.div(place, graph.scalar(columns));
  const Value column = graph.sub(place, graph.mul(row, graph.scalar(columns)));
  const Value base =
      graph.mul(graph.add(text_before, graph.mul(pictures, graph.scalar(std::max(rows, columns)))), is_token);
  return {base, graph.add(base, graph.mul(row, is_image)), graph.add(base, graph.mul(column, is_image))};
}

OnnxModel build_text_graph(const ModelConfig& config, const TensorTable& table,
                           const TextGraphOptions& options) {
  if (options.dtype != DType::f16 && options.dtype != DType::f32) {
    throw UsageError(fmt::format("the text graph in {}; F16 or F32 can be had", name(options.dtype)));
  }
  return TextGraph(config, table, options).build();
}

}  // namespace qvl::qwen25vl
