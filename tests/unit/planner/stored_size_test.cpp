#include "planner/stored_size.h"

#include <gtest/gtest.h>

#include "checkpoint/safetensors_writer.h"
#include "onnx/read/model_summary.h"
#include "qvl/quantize.h"
#include "support/hand_made_model.h"
#include "support/one_op_model.h"
#include "support/test_data.h"

namespace qvl {
namespace {

class StoredSizeTest : public testing::Test {
 protected:
  // Of the first unit of a model; kept where `format` is empty.
  std::uint64_t bytes(const std::string& format) {
    model_.save(folder_.path() / "model.onnx");
    const ModelPart part("model", folder_.path() / "model.onnx", {});
    const std::vector<Format> formats{parse_format(format.empty() ? "int8" : format)};
    const StoredSize size = stored_sizes(part, std::vector<bool>(part.units.size(), true), formats).front();
    return format.empty() ? size.kept_bytes : size.quantized_bytes.front();
  }
  void matrix(std::int64_t depth, std::int64_t rows, bool half) {
    model_ = test::HandMadeModel();
    model_.input("x", {4, depth}, half ? onnx::TensorProto::FLOAT16 : onnx::TensorProto::FLOAT);
    const std::vector<float> weight = test::noise(static_cast<std::size_t>(depth * rows), 1);
    (void)(half ? model_.halves("w", {depth, rows}, weight) : model_.floats("w", {depth, rows}, weight));
    model_.node("MatMul", {"x", "w"}, {"y"}, "unit");
    model_.output("y", half ? onnx::TensorProto::FLOAT16 : onnx::TensorProto::FLOAT);
  }

  const test::TemporaryFolder folder_;
  test::HandMadeModel model_;
};

TEST_F(StoredSizeTest, AKeptWeightIsWhatTheModelStores) {
  matrix(64, 10, true);
  EXPECT_EQ(bytes(""), 1280U);
  matrix(64, 10, false);
  EXPECT_EQ(bytes(""), 2560U);
}

TEST_F(StoredSizeTest, BlocksAreStoredWholeWithAScaleOfTheModelsWidth) {
  // 70 weights are three blocks of 32: 16 bytes and a scale each.
  matrix(70, 10, true);
  EXPECT_EQ(bytes("int4:32"), 10U * 3 * (16 + 2));
  matrix(70, 10, false);
  EXPECT_EQ(bytes("int4:32"), 10U * 3 * (16 + 4));
  matrix(128, 10, false);
  EXPECT_EQ(bytes("int8:64"), 10U * 2 * (64 + 4));
  // Bytes are not filled up: they are no blocks of MatMulNBits.
  matrix(70, 10, true);
  EXPECT_EQ(bytes("int8:32"), 10U * (70 + 3 * 2));
}

TEST_F(StoredSizeTest, LongBlocksRepeatTheirScales) {
  // In the file a block has 256 weights at most, here as long as fills up the least. int8 has its one scale.
  matrix(600, 10, true);
  EXPECT_EQ(bytes("int8"), 10U * (600 + 4));
  EXPECT_EQ(bytes("int4:1024"), 10U * 5 * (64 + 2));
}

// A Cast in front of the node makes its scales f32, whatever the initializer is.
TEST_F(StoredSizeTest, ScalesAreOfTheTypeThatTheNodeTakes) {
  model_.input("x", {4, 70});
  model_.halves("w", {70, 10}, test::noise(700, 1));
  test::set(model_.node("Cast", {"w"}, {"wide"}), "to", onnx::TensorProto::FLOAT);
  model_.node("MatMul", {"x", "wide"}, {"y"}, "unit");
  model_.output("y");
  EXPECT_EQ(bytes(""), 1400U);
  EXPECT_EQ(bytes("int4:32"), 10U * 3 * (16 + 4));
}

TEST_F(StoredSizeTest, RoundedActivationsTakeAByteAWeightAndAScaleAChannel) {
  matrix(70, 10, true);
  EXPECT_EQ(bytes("int8-dynamic"), 700U + 40);
}

// A weight that a Gather takes, too, stays; one behind two nodes counts once; an unused node holds another.
TEST(StoredSizes, CountWhatGoesFromTheFile) {
  const test::TemporaryFolder folder;
  test::HandMadeModel model;
  model.input("ids", {3}, onnx::TensorProto::INT64);
  for (const char* name : {"table", "twice", "held"}) model.floats(name, {16, 16}, test::noise(256, 1));
  model.floats("own", {16, 16}, test::noise(256, 2));
  model.node("Gather", {"table", "ids"}, {"h"});
  model.node("Identity", {"twice"}, {"again"});
  model.node("Identity", {"held"}, {"nobody takes it"});
  model.node("MatMul", {"h", "table"}, {"a"}, "tied");
  model.node("MatMul", {"a", "twice"}, {"b"}, "first");
  model.node("MatMul", {"b", "again"}, {"c"}, "second");
  model.node("MatMul", {"c", "held"}, {"d"}, "holder");
  model.node("MatMul", {"d", "own"}, {"y"}, "own");
  model.output("y");
  model.save(folder.path() / "model.onnx");
  const ModelPart part("model", folder.path() / "model.onnx", {});
  const std::vector<Format> formats{parse_format("int8:16")};
  const std::vector<StoredSize> sizes = stored_sizes(part, std::vector<bool>(5, true), formats);
  std::vector<std::uint64_t> kept;
  std::uint64_t quantized = 0;
  for (const StoredSize& size : sizes) {
    kept.push_back(size.kept_bytes);
    quantized += size.quantized_bytes.front();
  }
  EXPECT_EQ(kept, (std::vector<std::uint64_t>{0, 1024, 0, 0, 1024}));
  EXPECT_TRUE(sizes[0].shared);
  EXPECT_TRUE(sizes[2].repeated);
  EXPECT_TRUE(sizes[3].shared);
  // "table", "twice" and "held" have the same numbers: one set of integers for all, and one for "own".
  EXPECT_EQ(quantized, 2U * (256 + 16 * 4));
}

TEST(StoredSizes, AreWhatQuantizeWrites) {
  for (test::OneOpModel& one : test::one_op_models(17)) {
    const test::TemporaryFolder folder;
    one.model.save(folder.path() / "model.onnx");
    std::vector<NamedTensor> named{{"x", one.inputs.at("x").view()}};
    std::filesystem::create_directories(folder.path() / "data");
    write_safetensors(folder.path() / "data" / "sample.safetensors", named);
    const ModelPart part("model", folder.path() / "model.onnx", {});
    for (const char* format : {"int8", "int8:64", "int4:16", "int4:1024", "int8-dynamic", "int8-static"}) {
      QuantizeOptions options;
      options.model = folder.path() / "model.onnx";
      options.data = folder.path() / "data";
      options.format = format;
      options.out = folder.path() / format;
      (void)quantize_model(options);
      std::uint64_t bytes = 0;
      for (const auto& initializer : summarize_model(options.out / "model.onnx").initializers)
        bytes += initializer.data_file.empty() ? 0 : initializer.size_bytes;
      const StoredSize size = stored_sizes(part, {true}, std::vector{parse_format(format)}).front();
      EXPECT_EQ(size.quantized_bytes.front(), bytes) << one.name << " " << format;
    }
  }
}

}  // namespace
}  // namespace qvl
