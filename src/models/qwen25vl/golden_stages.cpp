#include "models/qwen25vl/golden_stages.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/qwen25vl/window_layout.h"

namespace qvl::qwen25vl {
namespace {

// The module's last node, by which name GraphBuilder calls its result: a block ends with the second of its
// two sums.
std::string result(const std::string& node) { return node + "_output_0"; }

}  // namespace

std::vector<StageValue> vision_stages(const VisionConfig& vision) {
  std::vector<StageValue> stages{{"vision.patch_embed", result("/visual/patch_embed/proj/MatMul")}};
  for (std::int64_t i = 0; i < vision.depth; ++i)
    stages.push_back({fmt::format("vision.blocks.{}", i), result(fmt::format("/visual/blocks.{}/Add_1", i))});
  return stages;
}

std::vector<StageValue> text_stages(const TextConfig& text, bool with_pictures) {
  std::vector<StageValue> stages{{"text.embeddings", result(with_pictures ? "/model/embed_tokens/Where"
                                                                          : "/model/embed_tokens/Gather")}};
  for (std::int64_t i = 0; i < text.num_hidden_layers; ++i)
    stages.push_back({fmt::format("text.layers.{}", i), result(fmt::format("/model/layers.{}/Add_1", i))});
  return stages;
}

PositionValues position_values(const ModelProbe& graph, const TextConfig& text) {
  PositionValues values;
  // From the product with the frequencies back over what only changes dtype and rank.
  const auto add = [&](std::int64_t first, std::int64_t count, std::vector<std::size_t> rows) {
    const auto takers = graph.takers_of(fmt::format("rotary.inv_freq.{}_{}", first, count));
    if (takers.size() != 1 || takers.front()->inputs.empty()) return false;
    std::string value = takers.front()->inputs.front();
    for (const ModelProbe::Node* maker = graph.maker_of(value);
         maker != nullptr && !maker->inputs.empty() && (maker->op == "Unsqueeze" || maker->op == "Cast");
         maker = graph.maker_of(value)) {
      value = maker->inputs.front();
    }
    if (graph.maker_of(value) == nullptr) return false;
    values.found.push_back({value, std::move(rows)});
    return true;
  };
  if (add(0, text.head_size() / 2, {0, 1, 2})) return values;
  std::int64_t first = 0;
  for (std::size_t s = 0; s < text.mrope_section.size(); ++s) {
    const std::int64_t count = text.mrope_section[s];
    if (count > 0 && !add(first, count, {s % 3})) values.missing.push_back(s % 3);
    first += count;
  }
  return values;
}

std::vector<std::int64_t> our_window_rows(std::span<const std::int64_t> reference_rows, PixelSize size,
                                          const VisionConfig& vision) {
  const PatchGrid grid{size.height / vision.patch_size, size.width / vision.patch_size};
  const std::int64_t merge = vision.spatial_merge_size;
  const std::int64_t rows = grid.height_patches / merge;
  const std::int64_t columns = grid.width_patches / merge;
  const std::int64_t window = vision.window_size / vision.patch_size / merge;
  std::vector<std::int64_t> reference;  // merge blocks, numbered row by row
  for (std::int64_t top = 0; top < rows; top += window) {
    for (std::int64_t left = 0; left < columns; left += window) {
      for (std::int64_t r = top; r < std::min(rows, top + window); ++r) {
        for (std::int64_t c = left; c < std::min(columns, left + window); ++c)
          reference.push_back(r * columns + c);
      }
    }
  }
  const WindowLayout layout(grid, vision);
  const std::int64_t block = merge * merge;
  std::vector<std::int64_t> ours;
  for (const std::int64_t row : reference_rows) {
    const std::int64_t token = reference[static_cast<std::size_t>(row / block)];
    ours.push_back(layout.block_of_token[static_cast<std::size_t>(token)] * block + row % block);
  }
  return ours;
}

}  // namespace qvl::qwen25vl
