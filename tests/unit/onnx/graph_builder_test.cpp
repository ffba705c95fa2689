#include "onnx/build/graph_builder.h"

#include <gtest/gtest.h>

#include "onnx/onnx_model.h"
#include "onnx/read/model_summary.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

const Dim kBatch = Dim::symbol("batch");
const Dim kSeq = Dim::symbol("seq");

TEST(GraphBuilder, InfersShapesWithSymbols) {
  GraphBuilder g("test");
  const Value x = g.input("x", DType::f32, {kBatch, kSeq, 8});
  const Value w = g.weight("w", DType::f32, {8, 6});
  const Value y = g.matmul(x, w);
  EXPECT_EQ(y.shape, (SymbolicShape{kBatch, kSeq, 6}));
  EXPECT_EQ(g.reshape(y, {kBatch, kSeq, 2, 3}).shape, (SymbolicShape{kBatch, kSeq, 2, 3}));
  EXPECT_EQ(g.reshape(y, {kBatch * kSeq, 6}).shape, (SymbolicShape{kBatch * kSeq, 6}));
  EXPECT_EQ(g.transpose(y, {2, 0, 1}).shape, (SymbolicShape{6, kBatch, kSeq}));
  EXPECT_EQ(g.unsqueeze(y, {1, 2}).shape, (SymbolicShape{kBatch, 1, 1, kSeq, 6}));
  EXPECT_EQ(g.concat({y, x}, -1).shape, (SymbolicShape{kBatch, kSeq, 14}));
  EXPECT_EQ(g.split(y, {2, 4}, -1)[1].shape, (SymbolicShape{kBatch, kSeq, 4}));
  EXPECT_EQ(g.reduce_mean(y).shape, (SymbolicShape{kBatch, kSeq, 1}));
  EXPECT_EQ(g.add(y, g.weight("b", DType::f32, {6})).shape, y.shape);
  EXPECT_EQ(g.range_of_axis(x, 1).shape, (SymbolicShape{kSeq}));
  const Value ids = g.input("ids", DType::i64, {kBatch, kSeq});
  EXPECT_EQ(g.gather_rows(w, ids).shape, (SymbolicShape{kBatch, kSeq, 6}));
  EXPECT_EQ(g.cast(y, DType::f16).dtype, DType::f16);
  EXPECT_EQ(g.cast(y, DType::f32).name, y.name);
}

// Every op refuses what does not fit, when it is built, and names the node.
TEST(GraphBuilder, RefusesWhatDoesNotFit) {
  GraphBuilder g("test");
  const auto scope = g.module("model");
  const Value x = g.input("x", DType::f32, {kBatch, kSeq, 8});
  const Value half = g.input("h", DType::f16, {kBatch, kSeq, 8});
  const Value ids = g.input("ids", DType::i64, {kBatch, kSeq});
  const auto refuses = [](const auto& build, const std::string& node) {
    try {
      build();
      ADD_FAILURE() << node << " was accepted";
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find("/model/" + node), std::string::npos) << error.what();
    }
  };
  refuses([&] { g.add(x, half); }, "Add");
  refuses([&] { g.add(x, g.input("y", DType::f32, {kBatch, 3, 8})); }, "Add");
  refuses([&] { g.add(g.input("s", DType::f32, {kSeq}), g.input("b", DType::f32, {kBatch})); }, "Add");
  refuses([&] { g.matmul(x, g.weight("w7", DType::f32, {7, 6})); }, "MatMul");
  refuses([&] { g.matmul(half, g.weight("w8", DType::f32, {8, 6})); }, "MatMul");
  refuses([&] { g.reshape(x, {kBatch, kSeq, 9}); }, "Reshape");
  refuses([&] { g.reshape(x, {kBatch, 8}); }, "Reshape");
  refuses([&] { g.reshape(x, {2 * kSeq, kBatch, 4}); }, "Reshape");
  refuses([&] { g.transpose(x, {0, 1}); }, "Transpose");
  refuses([&] { g.transpose(x, {0, 1, 1}); }, "Transpose");
  refuses([&] { g.unsqueeze(x, {5}); }, "Unsqueeze");
  refuses([&] { g.concat({x, half}, -1); }, "Concat");
  refuses([&] { g.concat({x, ids}, -1); }, "Concat");
  refuses([&] { g.split(x, {3, 4}, -1); }, "Split");
  refuses([&] { g.split(x, {8}, 3); }, "Split");
  refuses([&] { g.gather_rows(x, half); }, "Gather");
  refuses([&] { g.where(ids, x, x); }, "Where");
  refuses([&] { g.logical_and(ids, ids); }, "And");
  refuses([&] { g.equal(x, ids); }, "Equal");
  refuses([&] { g.softmax(ids); }, "Softmax");
  refuses([&] { g.sqrt(ids); }, "Sqrt");
  refuses([&] { g.gemm_transposed(x, x); }, "Gemm");
  refuses([&] { g.cumsum_exclusive(ids, 2); }, "CumSum");
}

TEST(GraphBuilder, AWeightIsOneInitializer) {
  GraphBuilder g("test");
  g.weight("w", DType::f16, {4, 4});
  g.weight("w", DType::f16, {4, 4});
  EXPECT_THROW(g.weight("w", DType::f16, {2, 8}), UsageError);
  EXPECT_THROW(g.weight("w", DType::f32, {4, 4}), UsageError);
  Tensor big(DType::f16, {1000});
  g.constant("c", big);
  g.weight("last", DType::f16, {4});
  g.constant("c", big);
  EXPECT_THROW(g.constant("c", Tensor(DType::f16, {1001})), UsageError);
  g.constant("small", Tensor(DType::f16, {2}));
  EXPECT_THROW(g.constant("small", Tensor(DType::f32, {2})), UsageError);
  const OnnxModel model = g.finish({});
  ASSERT_EQ(model.external_tensors().size(), 3U);
  EXPECT_TRUE(model.external_tensors()[1].values.has_value());
  EXPECT_FALSE(model.external_tensors()[2].values.has_value());
}

TEST(GraphBuilder, NamesNodesAfterModules) {
  const test::TemporaryFolder folder;
  GraphBuilder g("test");
  const Value x = g.input("x", DType::f32, {4, 4});
  Value y = x;
  {
    const auto model = g.module("model");
    const auto layer = g.module("layers.0");
    y = g.add(x, x);
    EXPECT_EQ(y.name, "/model/layers.0/Add_output_0");
    EXPECT_EQ(g.add(x, y).name, "/model/layers.0/Add_1_output_0");
  }
  EXPECT_EQ(g.neg(y).name, "/Neg_output_0");
}

// A graph of the ops, saved, passes ONNX's checker and strict inference, which agrees with the builder's own
// shapes.
TEST(OnnxModel, PassesTheCheckerAndHasAlignedExternalData) {
  const test::TemporaryFolder folder;
  GraphBuilder g("test");
  const Value ids = g.input("ids", DType::i64, {kBatch, kSeq});
  const Value table = g.weight("table", DType::f16, {100, 64});
  const Value rows = g.gather_rows(table, ids);
  const Value bias = g.constant("bias", Tensor(DType::f16, {64}));
  const Value big = g.constant("big", Tensor(DType::f16, {1024}));
  const Value sum = g.add(rows, bias);
  const Value logits = g.gemm_transposed(g.reshape(sum, {kBatch * kSeq, 64}), table);
  g.output(g.reshape_like(logits, ids, {kBatch, kSeq, 100}), "logits");
  g.output(g.mul(big, g.scalar(2.0F, DType::f16)), "twice");
  const OnnxModel model = g.finish(std::vector<std::pair<std::string, std::string>>{{"key", "value"}});
  ASSERT_EQ(model.external_tensors().size(), 2U);
  for (const ExternalTensor& tensor : model.external_tensors()) EXPECT_EQ(tensor.offset_bytes % 4096, 0U);
  EXPECT_EQ(model.external_tensors()[0].size_bytes, 12800U);
  EXPECT_EQ(model.external_tensors()[1].offset_bytes, 16384U);
  EXPECT_EQ(model.external_size_bytes(), 20480U);
  test::write_file(folder.path() / "m.onnx_data", std::string(20480, '\0'));
  model.save(folder.path() / "m.onnx", "m.onnx_data");
  EXPECT_NO_THROW(OnnxModel::check(folder.path() / "m.onnx"));
  const ModelSummary summary = summarize_model(folder.path() / "m.onnx");
  EXPECT_EQ(summary.opset, 17);
  EXPECT_EQ(summary.outputs[0].shape, (std::vector<std::string>{"batch", "seq", "100"}));
}

TEST(OnnxModel, CheckFindsABrokenFile) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "m.onnx", "not a model");
  EXPECT_THROW(OnnxModel::check(folder.path() / "m.onnx"), InputError);
}

}  // namespace
}  // namespace qvl
