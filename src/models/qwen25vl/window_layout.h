// The order in which the vision encoder sees the patches of a picture, and the windows it attends in.
// Source: get_window_index and rot_pos_emb of transformers' modeling_qwen2_5_vl.py.
#pragma once

#include <cstdint>
#include <vector>

#include "models/qwen25vl/model_config.h"

namespace qvl::qwen25vl {

// A picture's patches along height and width; both are multiples of the merge size.
struct PatchGrid {
  std::int64_t height_patches = 0;
  std::int64_t width_patches = 0;

  [[nodiscard]] std::int64_t patches() const noexcept { return height_patches * width_patches; }
};

// Windows of one size that follow each other in window order.
struct WindowGroup {
  std::int64_t windows = 0;
  std::int64_t patches_per_window = 0;
  friend bool operator==(const WindowGroup&, const WindowGroup&) = default;
};

// Window order: window after window, merge block after merge block inside a window, the patches of a block
// row by row. Windows of one size stand together (whole ones, then the ragged ones at the right edge, at the
// bottom edge, and the corner), so that attention inside windows is a reshape; a picture of whole windows
// only has the reference's order.
struct WindowLayout {
  // Position p in window order shows the patch at row patch_rows[p], column patch_columns[p] of the picture.
  std::vector<std::int64_t> patch_rows;
  std::vector<std::int64_t> patch_columns;
  // Image token r of the picture (row by row) is the merge block at this place in window order.
  std::vector<std::int64_t> block_of_token;
  std::vector<WindowGroup> groups;

  // Throws InputError unless the grid's sides are positive multiples of the merge size.
  WindowLayout(const PatchGrid& grid, const VisionConfig& vision);
};

}  // namespace qvl::qwen25vl
