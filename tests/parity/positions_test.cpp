// M-RoPE positions, on the host and in the graph, exactly as the reference computes them.
#include <gtest/gtest.h>

#include "core/json_text.h"
#include "models/qwen25vl/rope_index.h"
#include "models/qwen25vl/text_graph.h"
#include "onnx/build/graph_builder.h"
#include "onnx/onnx_model.h"
#include "parity/golden.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using namespace qwen25vl;

using Integers = std::vector<std::int64_t>;

TEST(RopeIndex, EqualsTheReferenceOnAllLayouts) {
  const Json golden = read_json_file(test::data("goldens/position_ids.json"));
  const auto merge = golden["spatial_merge_size"].get<std::int64_t>();
  ASSERT_EQ(golden["cases"].size(), 40U);
  for (const Json& c : golden["cases"]) {
    std::vector<PatchGrid> pictures;
    for (const Json& grid : c["grid_thw"])
      pictures.push_back({grid[1].get<std::int64_t>(), grid[2].get<std::int64_t>()});
    const RopeIndex found = rope_index(c["input_ids"].get<Integers>(), c["attention_mask"].get<Integers>(),
                                       pictures, golden["image_token_id"].get<std::int64_t>(), merge);
    EXPECT_EQ(found.time, c["position_ids"][0].get<Integers>());
    EXPECT_EQ(found.height, c["position_ids"][1].get<Integers>());
    EXPECT_EQ(found.width, c["position_ids"][2].get<Integers>());
    EXPECT_EQ(found.delta, c["delta"].get<std::int64_t>());
  }
}

TEST(RopeIndex, EqualsTheReferenceOnPicturesOfTheirOwnSize) {
  const test::Golden golden("tiny-tied");
  const Json& inputs = golden.inputs()["images_native"];
  std::vector<PatchGrid> pictures;
  for (const Json& grid : inputs["grid_thw"])
    pictures.push_back({grid[1].get<std::int64_t>(), grid[2].get<std::int64_t>()});
  const auto ids = inputs["input_ids"].front().get<Integers>();
  const ModelConfig config = read_model_config(test::data("checkpoints/tiny-tied/config.json"));
  const RopeIndex found = rope_index(ids, Integers(ids.size(), 1), pictures, config.image_token_id, 2);
  Integers all = found.time;
  all.insert(all.end(), found.height.begin(), found.height.end());
  all.insert(all.end(), found.width.begin(), found.width.end());
  EXPECT_EQ(all, golden.integers("images_native.position_ids"));
  EXPECT_EQ(found.delta, inputs["rope_delta"].get<std::int64_t>());
}

// Runs the position part of the text graph alone.
std::vector<Integers> graph_positions(const Tensor& ids, const Tensor& mask, std::int64_t image_token_id,
                                      const TextGraphOptions& options) {
  const test::TemporaryFolder folder;
  GraphBuilder graph("positions");
  const Dim batch = Dim::symbol("batch");
  const Dim seq = Dim::symbol("seq");
  const Value input_ids = graph.input("input_ids", DType::i64, {batch, seq});
  const Value attention_mask = graph.input("attention_mask", DType::i64, {batch, seq});
  const RopePositions positions = add_rope_positions(
      graph, input_ids, graph.cast(attention_mask, DType::boolean), image_token_id, options);
  graph.output(positions.time, "time");
  graph.output(positions.height, "height");
  graph.output(positions.width, "width");
  graph.finish({}).save(folder.path() / "positions.onnx", "positions.onnx_data");
  const Session session(folder.path() / "positions.onnx");
  std::vector<Integers> rows;
  for (const OutputTensor& output : session.run({{"input_ids", ids.view()}, {"attention_mask", mask.view()}},
                                                {"time", "height", "width"})) {
    rows.emplace_back(output.as<std::int64_t>().begin(), output.as<std::int64_t>().end());
  }
  return rows;
}

class GraphPositions : public testing::TestWithParam<std::string> {};

TEST_P(GraphPositions, EqualTheReference) {
  const test::Golden golden(GetParam());
  const ModelConfig config = read_model_config(test::data("checkpoints/" + GetParam() + "/config.json"));
  TextGraphOptions options;
  options.with_image = true;
  for (const std::string key : {"image_672", "batch_672"}) {
    const Json& inputs = golden.inputs()[key];
    const Tensor ids = test::batch(inputs["input_ids"]);
    Tensor mask(DType::i64, ids.shape());
    std::ranges::fill(mask.as<std::int64_t>(), 1);
    if (inputs.contains("attention_mask")) mask = test::batch(inputs["attention_mask"]);
    Integers found;
    for (const Integers& row : graph_positions(ids, mask, config.image_token_id, options)) {
      found.insert(found.end(), row.begin(), row.end());
    }
    EXPECT_EQ(found, golden.integers(key + ".position_ids")) << key;
  }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, GraphPositions, testing::Values("tiny-tied", "tiny-sharded"),
                         [](const auto& instance) {
                           return instance.param == "tiny-tied" ? "TinyTied" : "TinySharded";
                         });

// In the graph every picture has one grid; the host's function, proved above, says what is right for any
// number of pictures, batches padded on either side, and grids that are not square.
TEST(GraphPositionsByHost, AgreeForManyLayouts) {
  constexpr std::int64_t kImage = 7;
  TextGraphOptions options;
  options.with_image = true;
  options.picture_rows_tokens = 2;
  options.picture_columns_tokens = 5;
  constexpr std::size_t kLength = 48;
  Integers ids;
  Integers masks;
  std::vector<Integers> expected(3);
  for (std::size_t row = 0; row < 24; ++row) {
    const std::size_t pictures = row % 4;
    Integers tokens(row % 3, 1);  // text before the first picture, sometimes none
    for (std::size_t p = 0; p < pictures; ++p) {
      tokens.insert(tokens.end(), 10, kImage);
      tokens.insert(tokens.end(), (row + p) % 2 + 1, 2);
    }
    if (tokens.empty()) tokens.push_back(3);
    const std::size_t padding = kLength - tokens.size();
    const std::size_t left = row % 2 == 0 ? padding : padding / 3;
    Integers padded(kLength, row % 5 == 0 ? kImage : 0);
    Integers mask(kLength, 0);
    std::copy(tokens.begin(), tokens.end(), padded.begin() + static_cast<std::ptrdiff_t>(left));
    std::fill_n(mask.begin() + static_cast<std::ptrdiff_t>(left), tokens.size(), 1);
    const RopeIndex index = rope_index(padded, mask, std::vector<PatchGrid>(pictures, {4, 10}), kImage, 2);
    expected[0].insert(expected[0].end(), index.time.begin(), index.time.end());
    expected[1].insert(expected[1].end(), index.height.begin(), index.height.end());
    expected[2].insert(expected[2].end(), index.width.begin(), index.width.end());
    ids.insert(ids.end(), padded.begin(), padded.end());
    masks.insert(masks.end(), mask.begin(), mask.end());
  }
  const auto found =
      graph_positions(Tensor::of<std::int64_t>(DType::i64, {24, kLength}, ids),
                      Tensor::of<std::int64_t>(DType::i64, {24, kLength}, masks), kImage, options);
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace qvl
