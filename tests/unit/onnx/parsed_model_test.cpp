#include "onnx/parsed_model.h"

#include <gtest/gtest.h>

#include "onnx/build/graph_builder.h"
#include "onnx/onnx_model.h"
#include "onnx/read/model_graph.h"
#include "onnx/read/model_summary.h"
#include "onnx/rewrite/quantized_graph.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

OnnxModel two_products() {
  GraphBuilder g("test");
  const Value x = g.input("x", DType::f32, {Dim::symbol("n"), 64});
  const Value y = g.matmul(x, g.weight("w", DType::f32, {64, 64}));
  g.output(g.matmul(y, g.weight("v", DType::f32, {64, 8})), "y");
  return g.finish({});
}

QuantizedNode second_product() {
  QuantizedNode node;
  node.output = "y";
  node.weight = "v";
  node.shape = {64, 8};
  node.rows = 8;
  node.depth = 64;
  return node;
}

// What is made of a model that is not written yet is what is made of its file.
TEST(ParsedModel, OfABuiltModelNeedsNoFile) {
  const test::TemporaryFolder folder;
  const OnnxModel built = two_products();
  const std::filesystem::path path = folder.path() / "m.onnx";
  const ParsedModel parsed(built, path, "m.onnx_data");
  EXPECT_EQ(parsed.path(), path);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_THROW(ModelGraph{path}, InputError);
  const ModelGraph graph(parsed);
  EXPECT_EQ(graph.files(), (std::vector{path, folder.path() / "m.onnx_data"}));
  ASSERT_NE(graph.constant("v"), nullptr);
  std::vector<float> values(1);
  EXPECT_THROW(graph.read_f32("v", 0, values), UsageError);  // it has no bytes
  const std::vector<QuantizedNode> nodes{second_product()};
  const QuantizedGraph quantized(parsed, nodes, {}, {});
  EXPECT_EQ(quantized.file_bytes("q_data"), quantized.serialize("q_data").size());

  built.save(path, "m.onnx_data");
  EXPECT_EQ(parsed.file_bytes(), std::filesystem::file_size(path));
  const ParsedModel read(path);
  EXPECT_EQ(QuantizedGraph(read, nodes, {}, {}).serialize("q_data"), quantized.serialize("q_data"));
  EXPECT_EQ(QuantizedGraph(read, nodes, {}, {}).pieces(), quantized.pieces());
  EXPECT_THROW(ModelGraph{read}, InputError);  // a file's data must be there
  test::write_file(folder.path() / "m.onnx_data", std::string(built.external_size_bytes(), '\0'));
  const ModelGraph found(read);
  ASSERT_EQ(found.nodes().size(), graph.nodes().size());
  for (std::size_t i = 0; i < found.nodes().size(); ++i)
    EXPECT_EQ(found.nodes()[i].outputs, graph.nodes()[i].outputs);
  EXPECT_NO_THROW(found.read_f32("v", 0, values));
}

TEST(ParsedModel, ACopyStaysAsItIs) {
  const ParsedModel parsed(two_products(), "m.onnx", "m.onnx_data");
  const std::uint64_t bytes = parsed.file_bytes();
  const std::vector<QuantizedNode> nodes{second_product()};
  (void)QuantizedGraph(parsed, nodes, {}, {});
  EXPECT_EQ(parsed.file_bytes(), bytes);
  const ModelSummary summary = summarize_model(parsed);
  EXPECT_EQ(summary.ops, (std::map<std::string, std::int64_t>{{"MatMul", 2}}));
  EXPECT_EQ(summary.size_bytes, 4U * 64 * 72);
}

TEST(ParsedModel, RefusesWhatIsNoModel) {
  const std::string text = "no model";
  EXPECT_THROW(ParsedModel(std::as_bytes(std::span(text)), "text"), InputError);
  EXPECT_THROW(ParsedModel(std::span<const std::byte>(), "empty"), InputError);
  EXPECT_THROW(ParsedModel("no such file"), InputError);
}

}  // namespace
}  // namespace qvl
