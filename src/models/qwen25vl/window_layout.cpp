#include "models/qwen25vl/window_layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "qvl/error.h"

namespace qvl::qwen25vl {
namespace {

// A half-open range of windows along one axis, all of one size in merge blocks.
struct Span {
  std::int64_t first_block;
  std::int64_t windows;
  std::int64_t blocks;
};

// Along one axis: the whole windows, then the ragged one if there is one.
std::vector<Span> spans(std::int64_t blocks, std::int64_t window_blocks) {
  std::vector<Span> result;
  const std::int64_t whole = blocks / window_blocks;
  const std::int64_t rest = blocks % window_blocks;
  if (whole > 0) result.push_back({0, whole, window_blocks});
  if (rest > 0) result.push_back({whole * window_blocks, 1, rest});
  return result;
}

}  // namespace

WindowLayout::WindowLayout(const PatchGrid& grid, const VisionConfig& vision) {
  const std::int64_t merge = vision.spatial_merge_size;
  if (grid.height_patches <= 0 || grid.width_patches <= 0 || grid.height_patches % merge != 0 ||
      grid.width_patches % merge != 0) {
    throw InputError(fmt::format("a picture of {} x {} patches; both sides must be positive multiples of {}",
                                 grid.height_patches, grid.width_patches, merge));
  }
  const std::int64_t window_blocks = vision.window_size / vision.patch_size / merge;
  const std::int64_t width_blocks = grid.width_patches / merge;
  block_of_token.resize(static_cast<std::size_t>(grid.patches() / (merge * merge)));
  std::int64_t next_block = 0;
  const auto add_window = [&](std::int64_t top, std::int64_t left, std::int64_t rows, std::int64_t columns) {
    for (std::int64_t block = 0; block < rows * columns; ++block) {
      const std::int64_t row = top + block / columns;
      const std::int64_t column = left + block % columns;
      block_of_token[static_cast<std::size_t>(row * width_blocks + column)] = next_block++;
      for (std::int64_t patch = 0; patch < merge * merge; ++patch) {
        patch_rows.push_back(row * merge + patch / merge);
        patch_columns.push_back(column * merge + patch % merge);
      }
    }
  };
  for (const Span& v : spans(grid.height_patches / merge, window_blocks)) {
    for (const Span& h : spans(width_blocks, window_blocks)) {
      groups.push_back({v.windows * h.windows, v.blocks * h.blocks * merge * merge});
      for (std::int64_t i = 0; i < v.windows * h.windows; ++i) {
        add_window(v.first_block + i / h.windows * v.blocks, h.first_block + i % h.windows * h.blocks,
                   v.blocks, h.blocks);
      }
    }
  }
}

}  // namespace qvl::qwen25vl
