#include "models/qwen25vl/vision_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/graph_layers.h"
#include "models/qwen25vl/window_layout.h"
#include "onnx/build/graph_builder.h"
#include "qvl/error.h"

namespace qvl::qwen25vl {
namespace {

constexpr float kRotaryTheta = 10000.0F;  // Qwen2_5_VisionRotaryEmbedding
constexpr double kNormEpsilon = 1e-6;     // fixed in Qwen2_5_VLVisionBlock and Qwen2_5_VLPatchMerger

// What the published processor gives at most: max_pixels 12845056 in patches of 14 x 14 pixels.
constexpr std::int64_t kMostPatches = 65536;

// cos and sin [patches, 1, head size] of the 2-D rotary angles, in window order, times `scale`.
struct RotaryTables {
  Tensor cos;
  Tensor sin;

  RotaryTables(const WindowLayout& layout, std::int64_t head_size, float scale)
      : cos(DType::f32, {static_cast<std::int64_t>(layout.patch_rows.size()), 1, head_size}), sin(cos) {
    const auto quarter = static_cast<std::size_t>(head_size / 4);
    const auto width = static_cast<std::size_t>(head_size);
    for (std::size_t p = 0; p < layout.patch_rows.size(); ++p) {
      for (std::size_t i = 0; i < width / 2; ++i) {
        // The first quarter turns by the row, the second by the column; the second half repeats both.
        const auto position =
            static_cast<float>(i < quarter ? layout.patch_rows[p] : layout.patch_columns[p]);
        const float exponent = static_cast<float>(2 * (i % quarter)) / static_cast<float>(head_size / 2);
        const float angle = position * (1.0F / std::pow(kRotaryTheta, exponent));
        for (const std::size_t at : {p * width + i, p * width + i + width / 2}) {
          cos.as<float>()[at] = std::cos(angle) * scale;
          sin.as<float>()[at] = std::sin(angle) * scale;
        }
      }
    }
  }
};

class VisionGraph {
 public:
  VisionGraph(const ModelConfig& config, const TensorTable& table, const VisionGraphOptions& options)
      : vision_(config.vision),
        options_(options),
        graph_("qwen2_5_vl_vision"),
        layers_(graph_, table, DType::f32),
        grid_{options.height_pixels / vision_.patch_size, options.width_pixels / vision_.patch_size},
        layout_(grid_, vision_) {}

  OnnxModel build() {
    const auto root = graph_.module("visual");
    const Value pixels = graph_.input(
        "pixel_values", DType::f32, {1, vision_.in_channels, options_.height_pixels, options_.width_pixels});
    Value hidden = patch_embed(pixels);
    make_rotary_tables();
    for (std::int64_t i = 0; i < vision_.depth; ++i) {
      hidden = block(hidden, i);
      if (options_.output_blocks) graph_.output(hidden, fmt::format("blocks.{}", i));
    }
    graph_.output(merger(hidden), "vision_features");
    return graph_.finish(options_.metadata);
  }

 private:
  // [1, channels, height, width] -> [patches, hidden] in window order; a picture is every frame of its
  // patches.
  Value patch_embed(const Value& pixels) {
    const auto scope = graph_.module("patch_embed");
    const std::int64_t size = vision_.patch_size;
    Value x =
        graph_.reshape(pixels, {vision_.in_channels, grid_.height_patches, size, grid_.width_patches, size});
    x = graph_.transpose(x, {1, 3, 0, 2, 4});
    x = graph_.reshape(x, {grid_.patches(), vision_.in_channels, 1, size * size});
    x = graph_.gather_rows(x, graph_.constant("window_order.patches", window_order()));
    x = graph_.concat(std::vector<Value>(static_cast<std::size_t>(vision_.temporal_patch_size), x), 2);
    x = graph_.reshape(x, {grid_.patches(), vision_.in_channels * vision_.temporal_patch_size * size * size});
    return layers_.linear(x, "visual.patch_embed.proj", "proj", false);
  }

  [[nodiscard]] Tensor window_order() const {
    Tensor order(DType::i64, {grid_.patches()});
    for (std::size_t p = 0; p < layout_.patch_rows.size(); ++p) {
      order.as<std::int64_t>()[p] = layout_.patch_rows[p] * grid_.width_patches + layout_.patch_columns[p];
    }
    return order;
  }

  // The scale of the attention scores is folded into the queries' tables.
  void make_rotary_tables() {
    RotaryTables keys(layout_, vision_.head_size(), 1.0F);
    RotaryTables queries(layout_, vision_.head_size(),
                         1.0F / std::sqrt(static_cast<float>(vision_.head_size())));
    key_cos_ = graph_.constant("rotary.key_cos", std::move(keys.cos));
    key_sin_ = graph_.constant("rotary.key_sin", std::move(keys.sin));
    query_cos_ = graph_.constant("rotary.query_cos", std::move(queries.cos));
    query_sin_ = graph_.constant("rotary.query_sin", std::move(queries.sin));
  }

  Value block(const Value& x, std::int64_t index) {
    const auto scope = graph_.module(fmt::format("blocks.{}", index));
    const std::string name = fmt::format("visual.blocks.{}", index);
    const Value normed = layers_.rms_norm(x, name + ".norm1", "norm1", kNormEpsilon);
    const Value attended = graph_.add(x, attention(normed, name + ".attn", is_full_attention(index)));
    const Value normed2 = layers_.rms_norm(attended, name + ".norm2", "norm2", kNormEpsilon);
    return graph_.add(attended, layers_.gated_mlp(normed2, name + ".mlp", true));
  }

  [[nodiscard]] bool is_full_attention(std::int64_t index) const {
    return std::find(vision_.fullatt_block_indexes.begin(), vision_.fullatt_block_indexes.end(), index) !=
           vision_.fullatt_block_indexes.end();
  }

  Value attention(const Value& x, const std::string& name, bool full) {
    const auto scope = graph_.module("attn");
    const Value qkv = layers_.linear(x, name + ".qkv", "qkv", true);
    const std::vector<Value> parts =
        graph_.split(qkv, {vision_.hidden_size, vision_.hidden_size, vision_.hidden_size}, -1);
    const SymbolicShape heads{grid_.patches(), vision_.num_heads, vision_.head_size()};
    const Value q = layers_.rotate(graph_.reshape(parts[0], heads), query_cos_, query_sin_);
    const Value k = layers_.rotate(graph_.reshape(parts[1], heads), key_cos_, key_sin_);
    const Value v = graph_.reshape(parts[2], heads);
    const std::vector<WindowGroup> whole{{1, grid_.patches()}};
    return layers_.linear(attend(q, k, v, full ? whole : layout_.groups), name + ".proj", "proj", true);
  }

  // q, k, v [patches, heads, head size] -> [patches, hidden]; every window by itself.
  Value attend(const Value& q, const Value& k, const Value& v, const std::vector<WindowGroup>& groups) {
    if (groups.size() == 1) return attend_group(q, k, v, groups.front());
    std::vector<std::int64_t> sizes;
    for (const WindowGroup& g : groups) sizes.push_back(g.windows * g.patches_per_window);
    const std::vector<Value> qs = graph_.split(q, sizes, 0);
    const std::vector<Value> ks = graph_.split(k, sizes, 0);
    const std::vector<Value> vs = graph_.split(v, sizes, 0);
    std::vector<Value> results;
    for (std::size_t g = 0; g < groups.size(); ++g)
      results.push_back(attend_group(qs[g], ks[g], vs[g], groups[g]));
    return graph_.concat(results, 0);
  }

  Value attend_group(const Value& q, const Value& k, const Value& v, const WindowGroup& group) {
    const SymbolicShape windows{group.windows, group.patches_per_window, vision_.num_heads,
                                vision_.head_size()};
    const Value queries = graph_.transpose(graph_.reshape(q, windows), {0, 2, 1, 3});
    const Value keys = graph_.transpose(graph_.reshape(k, windows), {0, 2, 3, 1});
    const Value values = graph_.transpose(graph_.reshape(v, windows), {0, 2, 1, 3});
    const Value weights = layers_.softmax(graph_.matmul(queries, keys));
    const Value mixed = graph_.transpose(graph_.matmul(weights, values), {0, 2, 1, 3});
    return graph_.reshape(mixed, {group.windows * group.patches_per_window, vision_.hidden_size});
  }

  // [patches, hidden] in window order -> [image tokens, out hidden] row by row.
  Value merger(const Value& x) {
    const auto scope = graph_.module("merger");
    const std::int64_t block = vision_.spatial_merge_size * vision_.spatial_merge_size;
    const Value normed = layers_.rms_norm(x, "visual.merger.ln_q", "ln_q", kNormEpsilon);
    const Value merged = graph_.reshape(normed, {grid_.patches() / block, block * vision_.hidden_size});
    const Value wide = layers_.linear(merged, "visual.merger.mlp.0", "mlp.0", true);
    const Value tokens = layers_.linear(gelu(wide), "visual.merger.mlp.2", "mlp.2", true);
    Tensor order = Tensor::of<std::int64_t>(DType::i64, {grid_.patches() / block}, layout_.block_of_token);
    return graph_.gather_rows(tokens, graph_.constant("window_order.tokens", std::move(order)));
  }

  // Exact, not the tanh approximation: 0.5 x (1 + erf(x / sqrt 2)).
  Value gelu(const Value& x) {
    const auto scope = graph_.module("mlp.1");
    const Value e = graph_.erf(graph_.div(x, graph_.scalar(std::sqrt(2.0F), DType::f32)));
    const Value gated = graph_.mul(x, graph_.add(e, graph_.scalar(1.0F, DType::f32)));
    return graph_.mul(gated, graph_.scalar(0.5F, DType::f32));
  }

  const VisionConfig& vision_;
  const VisionGraphOptions& options_;
  GraphBuilder graph_;
  GraphLayers layers_;
  PatchGrid grid_;
  WindowLayout layout_;
  Value key_cos_, key_sin_, query_cos_, query_sin_;
};

}  // namespace

OnnxModel build_vision_graph(const ModelConfig& config, const TensorTable& table,
                             const VisionGraphOptions& options) {
  const std::int64_t unit = config.vision.patch_size * config.vision.spatial_merge_size;
  for (const std::int64_t side : {options.height_pixels, options.width_pixels}) {
    if (side <= 0 || side % unit != 0) {
      throw UsageError(fmt::format("image size {} x {}; both sides must be positive multiples of {}",
                                   options.width_pixels, options.height_pixels, unit));
    }
  }
  const std::int64_t patches =
      options.height_pixels / config.vision.patch_size * (options.width_pixels / config.vision.patch_size);
  if (patches > kMostPatches) {
    throw UsageError(fmt::format("image size {} x {} makes {} patches; at most {} can be had",
                                 options.width_pixels, options.height_pixels, patches, kMostPatches));
  }
  return VisionGraph(config, table, options).build();
}

}  // namespace qvl::qwen25vl
