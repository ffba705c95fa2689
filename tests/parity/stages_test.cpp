// Inside the vision encoder: patches and the hidden states after each block.
#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "exporter/weight_stream.h"
#include "models/qwen25vl/patches.h"
#include "models/qwen25vl/tensors.h"
#include "models/qwen25vl/vision_graph.h"
#include "models/qwen25vl/window_layout.h"
#include "parity/golden.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using namespace qwen25vl;

constexpr std::int64_t kWidth = 252;
constexpr std::int64_t kHeight = 420;

// The merge blocks of the picture (row by row numbers) in the reference's window order: windows row by row,
// ragged ones where they stand. By the definition in get_window_index.
std::vector<std::int64_t> reference_block_order(std::int64_t rows, std::int64_t columns,
                                                std::int64_t window) {
  std::vector<std::int64_t> order;
  for (std::int64_t top = 0; top < rows; top += window) {
    for (std::int64_t left = 0; left < columns; left += window) {
      for (std::int64_t r = top; r < std::min(rows, top + window); ++r) {
        for (std::int64_t c = left; c < std::min(columns, left + window); ++c)
          order.push_back(r * columns + c);
      }
    }
  }
  return order;
}

class Stages : public testing::TestWithParam<std::string> {};

TEST_P(Stages, HiddenStatesAfterEveryBlock) {
  const test::Golden golden(GetParam());
  const Checkpoint checkpoint = Checkpoint::open(test::data("checkpoints/" + GetParam()));
  const ModelConfig config = read_model_config(checkpoint.folder() / "config.json");
  const VisionConfig& vision = config.vision;
  const TensorTable table = tensor_table(config);
  VisionGraphOptions options;
  options.width_pixels = kWidth;
  options.height_pixels = kHeight;
  options.output_blocks = true;
  const OnnxModel model = build_vision_graph(config, table, options);
  const test::TemporaryFolder folder;
  model.save(folder.path() / "v.onnx", "v.onnx_data");
  write_external_data(model, checkpoint, planned_tensors(model, table, source_lookup(checkpoint)),
                      folder.path() / "v.onnx_data", {});
  const Session session(folder.path() / "v.onnx");
  const Tensor pixels = test::pixel_values("photo-252x420.png", kWidth, kHeight);

  const PatchGrid grid{kHeight / vision.patch_size, kWidth / vision.patch_size};
  const WindowLayout layout(grid, vision);
  const auto reference = reference_block_order(grid.height_patches / 2, grid.width_patches / 2, 4);
  const auto block_values = static_cast<std::size_t>(4 * vision.hidden_size);
  for (std::int64_t i = 0; i < vision.depth; ++i) {
    const std::string key = "blocks." + std::to_string(i);
    const auto found = test::to_floats(session.run({{"pixel_values", pixels.view()}}, {key}).front().view());
    std::vector<float> reordered;
    for (const std::int64_t token : reference) {
      const auto at =
          static_cast<std::size_t>(layout.block_of_token[static_cast<std::size_t>(token)]) * block_values;
      reordered.insert(reordered.end(), found.begin() + static_cast<std::ptrdiff_t>(at),
                       found.begin() + static_cast<std::ptrdiff_t>(at + block_values));
    }
    EXPECT_LE(test::relative_difference(reordered, golden.floats("vision_252x420." + key)), 2e-4) << key;
  }
}

TEST_P(Stages, PatchesOnTheHostAreTheProcessors) {
  const test::Golden golden(GetParam());
  const Tensor pixels = test::pixel_values("photo-252x420.png", kWidth, kHeight);
  const Tensor patches = extract_patches(pixels.as<float>(), kHeight, kWidth, {});
  EXPECT_EQ(test::to_floats(patches.view()), golden.floats("vision_252x420.pixel_values"));
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, Stages, testing::Values("tiny-tied", "tiny-sharded"),
                         [](const auto& instance) {
                           return instance.param == "tiny-tied" ? "TinyTied" : "TinySharded";
                         });

}  // namespace
}  // namespace qvl
