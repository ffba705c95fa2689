// The graphs of every published size, built without weights: they pass ONNX's checker and strict shape
// inference.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "models/qwen25vl/tensors.h"
#include "models/qwen25vl/text_graph.h"
#include "models/qwen25vl/vision_graph.h"
#include "onnx/read/model_graph.h"
#include "onnx/read/model_summary.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl::qwen25vl {
namespace {

class PublishedGraphs : public testing::TestWithParam<std::string> {
 protected:
  const ModelConfig config_ = read_model_config(test::preset_config(GetParam()));
  const TensorTable table_ = tensor_table(config_);
  const test::TemporaryFolder folder_;

  // Saves the graph beside a data file of the right length without content, checks it, and tells what it
  // holds.
  ModelSummary check(const OnnxModel& model) const {
    const auto path = folder_.path() / "m.onnx";
    test::write_file(folder_.path() / "m.onnx_data", "");
    std::filesystem::resize_file(folder_.path() / "m.onnx_data", model.external_size_bytes());
    model.save(path, "m.onnx_data");
    EXPECT_NO_THROW(OnnxModel::check(path));
    return summarize_model(path);
  }

  // Every tensor of the part is an initializer of the graph, once.
  void expect_all_tensors(const ModelSummary& summary, TensorPart part) const {
    std::set<std::string> names;
    for (const auto& initializer : summary.initializers) names.insert(initializer.name);
    EXPECT_EQ(names.size(), summary.initializers.size());
    for (const TensorRow& row : table_.rows()) {
      if (row.part != part) continue;
      EXPECT_TRUE(names.contains(row.name)) << row.name;
    }
  }
};

TEST_P(PublishedGraphs, Vision) {
  const ModelSummary summary = check(build_vision_graph(config_, table_, {}));
  expect_all_tensors(summary, TensorPart::vision);
  EXPECT_EQ(summary.outputs[0].shape,
            (std::vector<std::string>{"576", std::to_string(config_.text.hidden_size)}));
}

TEST_P(PublishedGraphs, VisionWithRaggedWindows) {
  VisionGraphOptions options;
  options.width_pixels = 420;
  options.height_pixels = 252;
  check(build_vision_graph(config_, table_, options));
}

TEST_P(PublishedGraphs, Text) {
  const ModelSummary summary = check(build_text_graph(config_, table_, {}));
  expect_all_tensors(summary, TensorPart::text);
  EXPECT_EQ(summary.outputs[0].dtype, "F16");
  EXPECT_EQ(summary.outputs[0].shape,
            (std::vector<std::string>{"batch", "seq", std::to_string(config_.text.vocab_size)}));
}

TEST_P(PublishedGraphs, TextWithImage) {
  TextGraphOptions options;
  options.with_image = true;
  const ModelSummary summary = check(build_text_graph(config_, table_, options));
  expect_all_tensors(summary, TensorPart::text);
  ASSERT_EQ(summary.inputs.size(), 3U);
  EXPECT_EQ(summary.inputs[2].name, "image_embeds");
  // No control flow: a graph that every runtime can plan.
  for (const std::string op : {"Loop", "Scan", "If"}) EXPECT_FALSE(summary.ops.contains(op));
}

// Neural Compressor 2.6 asks for the node before the first of two Casts in a row, and an input has none.
TEST_P(PublishedGraphs, NoCastReadsAnInputAndFeedsACast) {
  for (const MaskType mask : {MaskType::int64, MaskType::boolean}) {
    TextGraphOptions options;
    options.mask_type = mask;
    options.with_image = true;
    (void)check(build_text_graph(config_, table_, options));
    const ModelGraph graph(folder_.path() / "m.onnx");
    std::set<std::string> cast_inputs;
    for (const ModelGraph::Node& node : graph.nodes()) {
      if (node.op == "Cast" && (node.inputs[0] == "attention_mask" || node.inputs[0] == "image_embeds"))
        cast_inputs.insert(node.outputs[0]);
    }
    for (const ModelGraph::Node& node : graph.nodes()) {
      if (node.op != "Cast") continue;
      EXPECT_FALSE(cast_inputs.contains(node.inputs[0])) << node.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, PublishedGraphs, testing::Values("3b", "3b-finetune", "7b", "32b", "72b"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(VisionGraph, RefusesSizesThatAreNoMultiples) {
  const ModelConfig config = read_model_config(test::preset_config("3b"));
  const TensorTable table = tensor_table(config);
  for (const std::int64_t side : {0, -28, 100, 673, 28 * 10000}) {
    VisionGraphOptions options;
    options.width_pixels = side;
    EXPECT_THROW((void)build_vision_graph(config, table, options), UsageError) << side;
  }
}

}  // namespace
}  // namespace qvl::qwen25vl
