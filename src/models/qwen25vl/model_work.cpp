#include "models/qwen25vl/model_work.h"

#include <algorithm>

#include "core/shape.h"

namespace qvl::qwen25vl {
namespace {

double elements(const TensorRow& row) { return static_cast<double>(element_count(row.shape).value_or(0)); }

// Every query of `patches` or tokens with every key.
double attention(double queries, double keys, std::int64_t hidden_size) {
  return 4 * queries * keys * static_cast<double>(hidden_size);
}

}  // namespace

ModelWork vision_work(const ModelConfig& config, const TensorTable& table, const PatchGrid& grid) {
  const VisionConfig& vision = config.vision;
  const auto patches = static_cast<double>(grid.patches());
  const auto block_patches = static_cast<double>(vision.spatial_merge_size * vision.spatial_merge_size);
  ModelWork work;
  for (const TensorRow& row : table.rows()) {
    if (row.part != TensorPart::vision || !row.quantizable) continue;
    const bool merged = row.name.starts_with("visual.merger.");
    work.linear_flop += 2 * elements(row) * (merged ? patches / block_patches : patches);
    work.weight_bytes += elements(row) * static_cast<double>(size_bytes(DType::f32));
  }
  double windows = 0;
  for (const WindowGroup& group : WindowLayout(grid, vision).groups) {
    const auto side = static_cast<double>(group.patches_per_window);
    windows += static_cast<double>(group.windows) * attention(side, side, vision.hidden_size);
  }
  const auto& full = vision.fullatt_block_indexes;
  for (std::int64_t block = 0; block < vision.depth; ++block) {
    const bool is_full = std::ranges::find(full, block) != full.end();
    work.attention_flop += is_full ? attention(patches, patches, vision.hidden_size) : windows;
  }
  return work;
}

ModelWork text_work(const ModelConfig& config, const TensorTable& table, std::int64_t tokens, DType dtype) {
  const auto count = static_cast<double>(tokens);
  ModelWork work;
  for (const TensorRow& row : table.rows()) {
    if (row.part != TensorPart::text || !row.quantizable) continue;
    work.linear_flop += 2 * elements(row) * count;
    work.weight_bytes += elements(row) * static_cast<double>(size_bytes(dtype));
  }
  work.attention_flop =
      static_cast<double>(config.text.num_hidden_layers) * attention(count, count, config.text.hidden_size);
  return work;
}

}  // namespace qvl::qwen25vl
