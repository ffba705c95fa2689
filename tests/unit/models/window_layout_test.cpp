#include "models/qwen25vl/window_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "qvl/error.h"

namespace qvl::qwen25vl {
namespace {

using Groups = std::vector<WindowGroup>;

TEST(WindowLayout, WholeWindowsAreOneGroup) {
  EXPECT_EQ(WindowLayout({48, 48}, VisionConfig{}).groups, (Groups{{36, 64}}));
  EXPECT_EQ(WindowLayout({8, 8}, VisionConfig{}).groups, (Groups{{1, 64}}));
}

TEST(WindowLayout, RaggedWindowsAreGroupsOfTheirOwn) {
  // 15 x 9 merge blocks: 3 x 2 whole windows, 3 of 4 x 1 at the right, 2 of 3 x 4 at the bottom, 3 x 1 in the
  // corner.
  EXPECT_EQ(WindowLayout({30, 18}, VisionConfig{}).groups, (Groups{{6, 64}, {3, 16}, {2, 48}, {1, 12}}));
  // Smaller than a window.
  EXPECT_EQ(WindowLayout({2, 6}, VisionConfig{}).groups, (Groups{{1, 12}}));
  EXPECT_EQ(WindowLayout({2, 10}, VisionConfig{}).groups, (Groups{{1, 16}, {1, 4}}));
}

TEST(WindowLayout, IsAPermutationAndKeepsWindowsTogether) {
  for (const PatchGrid grid : {PatchGrid{48, 48}, {30, 18}, {22, 14}, {10, 26}, {4, 4}, {2, 2}, {34, 2}}) {
    const WindowLayout layout(grid, VisionConfig{});
    std::vector<std::int64_t> seen;
    for (std::size_t p = 0; p < layout.patch_rows.size(); ++p) {
      seen.push_back(layout.patch_rows[p] * grid.width_patches + layout.patch_columns[p]);
    }
    std::sort(seen.begin(), seen.end());
    std::vector<std::int64_t> all(static_cast<std::size_t>(grid.patches()));
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(seen, all);
    std::size_t at = 0;
    for (const WindowGroup& g : layout.groups) {
      for (std::int64_t w = 0; w < g.windows; ++w) {
        for (std::int64_t i = 0; i < g.patches_per_window; ++i, ++at) {
          const std::size_t first = at - static_cast<std::size_t>(i);
          EXPECT_EQ(layout.patch_rows[at] / 8, layout.patch_rows[first] / 8);
          EXPECT_EQ(layout.patch_columns[at] / 8, layout.patch_columns[first] / 8);
        }
      }
    }
    EXPECT_EQ(at, layout.patch_rows.size());
  }
}

TEST(WindowLayout, TokensFindTheirBlocks) {
  const PatchGrid grid{30, 18};
  const WindowLayout layout(grid, VisionConfig{});
  for (std::size_t token = 0; token < layout.block_of_token.size(); ++token) {
    const auto patch = static_cast<std::size_t>(layout.block_of_token[token] * 4);
    EXPECT_EQ(layout.patch_rows[patch] / 2, static_cast<std::int64_t>(token) / 9);
    EXPECT_EQ(layout.patch_columns[patch] / 2, static_cast<std::int64_t>(token) % 9);
  }
}

TEST(WindowLayout, RefusesGridsThatDoNotMerge) {
  EXPECT_THROW(WindowLayout({3, 4}, VisionConfig{}), InputError);
  EXPECT_THROW(WindowLayout({0, 4}, VisionConfig{}), InputError);
}

}  // namespace
}  // namespace qvl::qwen25vl
