// Nodes that GraphBuilder has no function for: other domains, operands that are left out, attributes of all
// kinds.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "onnx/build/graph_builder.h"
#include "onnx/onnx_model.h"
#include "qvl/error.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using Result = NodeSpec::Result;

const Dim kBatches = Dim::symbol("batch");
const Dim kTokens = Dim::symbol("seq");
const Value kLeftOut;

onnx::ModelProto written(const OnnxModel& model) {
  onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromString(model.serialize("data")));
  return proto;
}

test::Names listed(const google::protobuf::RepeatedPtrField<std::string>& names) {
  return {names.begin(), names.end()};
}

// x + skip, normalised; the statistics of the norm are left out, the sum comes along.
std::vector<Value> skip_norm(GraphBuilder& g, const Value& x, const Value& skip, const Value& gamma) {
  NodeSpec node{"SkipSimplifiedLayerNormalization", "com.microsoft"};
  node.operands = {x, skip, gamma, kLeftOut};
  node.results = {Result{x.dtype, x.shape}, std::nullopt, std::nullopt, Result{x.dtype, x.shape}};
  node.attributes = {{"epsilon", 1e-6F}};
  return g.node(node);
}

// Queries, keys and values packed, without a past: operands 1 to 4 are left out.
std::vector<Value> attention(GraphBuilder& g, const Value& packed, const Value& last, const Value& total) {
  NodeSpec node{"GroupQueryAttention", "com.microsoft"};
  node.operands = {packed, kLeftOut, kLeftOut, kLeftOut, kLeftOut, last, total};
  const SymbolicShape cache{packed.shape[0], 1, packed.shape[1], 8};
  node.results = {Result{packed.dtype, {packed.shape[0], packed.shape[1], 16}}, Result{packed.dtype, cache},
                  Result{packed.dtype, cache}};
  node.attributes = {{"num_heads", 2}, {"kv_num_heads", 1}};
  return g.node(node);
}

TEST(GraphNodes, OfAContribDomainWithOperandsAndResultsLeftOut) {
  GraphBuilder g("test");
  const auto scope = g.module("model");
  const Value x = g.input("x", DType::f32, {kBatches, kTokens, 32});
  const Value last = g.input("last", DType::i32, {kBatches});
  const Value total = g.input("total", DType::i32, {});
  const auto normed = skip_norm(g, x, x, g.weight("gamma", DType::f32, {32}));
  ASSERT_EQ(normed.size(), 4U);
  EXPECT_EQ(normed[0].name, "/model/SkipSimplifiedLayerNormalization_output_0");
  EXPECT_EQ(normed[1].name, "");
  EXPECT_EQ(normed[3].shape, x.shape);
  const auto attended = attention(g, normed[3], last, total);
  g.output(attended[0], "y");
  const onnx::ModelProto model = written(g.finish({}));
  ASSERT_EQ(model.opset_import_size(), 2);
  EXPECT_EQ(model.opset_import(1).domain(), "com.microsoft");
  EXPECT_EQ(model.opset_import(1).version(), 1);
  const onnx::NodeProto& norm = model.graph().node(0);
  EXPECT_EQ(norm.domain(), "com.microsoft");
  EXPECT_EQ(listed(norm.input()),
            (test::Names{"x", "x", "gamma"}));  // at the end nothing marks what is left out
  EXPECT_EQ(listed(norm.output()), (test::Names{normed[0].name, "", "", normed[3].name}));
  ASSERT_EQ(norm.attribute_size(), 1);
  EXPECT_EQ(norm.attribute(0).type(), onnx::AttributeProto::FLOAT);
  const onnx::NodeProto& attend = model.graph().node(1);
  EXPECT_EQ(listed(attend.input()), (test::Names{normed[3].name, "", "", "", "", "last", "total"}));
  EXPECT_EQ(listed(attend.output()), (test::Names{"y", attended[1].name, attended[2].name}));
  std::map<std::string, int> ranks;
  for (const auto& info : model.graph().value_info())
    ranks[info.name()] = info.type().tensor_type().shape().dim_size();
  EXPECT_EQ(ranks,
            (std::map<std::string, int>{
                {normed[0].name, 3}, {normed[3].name, 3}, {attended[1].name, 4}, {attended[2].name, 4}}));
}

TEST(GraphNodes, OfAContribDomainRun) {
  const test::TemporaryFolder folder;
  GraphBuilder g("test");
  const Value x = g.input("x", DType::f32, {1, 1, 32});
  const Value last = g.input("last", DType::i32, {1});
  const Value total = g.input("total", DType::i32, {});
  const Value gamma = g.constant("gamma", test::floats_of({32}, std::vector<float>(32, 2.0F)));
  const auto normed = skip_norm(g, x, x, gamma);
  g.output(normed[0], "normed");
  g.output(attention(g, normed[3], last, total)[0], "attended");
  const OnnxModel model = g.finish({});
  test::write_file(folder.path() / "m.onnx_data", std::string(model.external_size_bytes(), '\0'));
  model.save(folder.path() / "m.onnx", "m.onnx_data");
  EXPECT_NO_THROW(OnnxModel::check(folder.path() / "m.onnx"));
  const std::vector<float> values = test::noise(32, 1);
  const auto one = [](const Shape& shape, std::int32_t value) {
    return Tensor::of<std::int32_t>(DType::i32, shape, std::vector{value});
  };
  const test::Tensors found = test::run_model(
      test::read_file(folder.path() / "m.onnx"), folder.path() / "m.onnx",
      {{"x", test::floats_of({1, 1, 32}, values)}, {"last", one({1}, 0)}, {"total", one({}, 1)}});
  double squares = 0;
  for (const float v : values) squares += 4.0 * v * v;
  const double norm = std::sqrt(squares / 32 + 1e-6);
  std::vector<float> expected;
  for (const float v : values) expected.push_back(static_cast<float>(2 * 2 * v / norm));
  EXPECT_LT(test::difference(test::floats_of({1, 1, 32}, expected), found.at("normed")), 1e-6);
  // The only position attends to itself: both heads give its value, doubled by the sum.
  std::vector<float> value;
  for (int i = 0; i < 16; ++i) value.push_back(2 * values[static_cast<std::size_t>(24 + i % 8)]);
  EXPECT_LT(test::difference(test::floats_of({1, 1, 16}, value), found.at("attended")), 1e-6);
}

TEST(GraphNodes, HaveAttributesOfAllKinds) {
  GraphBuilder g("test");
  NodeSpec node{"Everything", "test.domain"};
  node.version = 3;
  node.results = {Result{DType::f32, {}}};
  node.attributes = {{"i", 7},
                     {"f", 0.5F},
                     {"s", "text"},
                     {"t", test::floats_of({2}, {1, 2})},
                     {"is", std::vector<std::int64_t>{1, -2}},
                     {"fs", std::vector<float>{1.5F}},
                     {"ss", std::vector<std::string>{"a", "b"}}};
  g.output(g.node(node)[0], "y");
  const onnx::ModelProto model = written(g.finish({}));
  EXPECT_EQ(model.opset_import(1).version(), 3);
  const auto& found = model.graph().node(0).attribute();
  ASSERT_EQ(found.size(), 7);
  EXPECT_EQ(found.Get(0).i(), 7);
  EXPECT_EQ(found.Get(1).f(), 0.5F);
  EXPECT_EQ(found.Get(2).s(), "text");
  EXPECT_EQ(found.Get(3).t().dims(0), 2);
  EXPECT_EQ(found.Get(3).t().raw_data().size(), 8U);
  EXPECT_EQ(found.Get(4).ints(1), -2);
  EXPECT_EQ(found.Get(5).floats(0), 1.5F);
  EXPECT_EQ(found.Get(6).strings(1), "b");
  using Proto = onnx::AttributeProto;
  const std::vector<int> kinds{Proto::INT,  Proto::FLOAT,  Proto::STRING, Proto::TENSOR,
                               Proto::INTS, Proto::FLOATS, Proto::STRINGS};
  for (int i = 0; i < found.size(); ++i) EXPECT_EQ(found.Get(i).type(), kinds[static_cast<std::size_t>(i)]);
}

// What ONNX's own inference says of them must be what the node says.
TEST(GraphNodes, OfTheStandardAreChecked) {
  GraphBuilder g("test");
  const auto scope = g.module("model");
  const Value x = g.input("x", DType::f32, {kBatches, kTokens, 8});
  const auto list = [&](const std::string& name, const std::vector<std::int64_t>& values) {
    return g.constant(name, test::integers_of({static_cast<std::int64_t>(values.size())}, values));
  };
  NodeSpec slice{"Slice"};
  slice.operands = {x, list("starts", {2}), list("ends", {6}), list("axes", {2}), kLeftOut};
  slice.results = {Result{DType::f32, {kBatches, kTokens, 4}}};
  EXPECT_EQ(g.node(slice)[0].name, "/model/Slice_output_0");
  NodeSpec topk{"TopK"};
  topk.operands = {x, list("k", {3})};
  topk.results = {Result{DType::f32, {kBatches, kTokens, 3}}, Result{DType::i64, {kBatches, kTokens, 3}}};
  EXPECT_EQ(g.node(topk)[1].name, "/model/TopK_output_1");
  NodeSpec clip{"Clip"};  // the least value is left out
  clip.operands = {x, kLeftOut, g.scalar(1.0F, DType::f32)};
  clip.results = {Result{DType::f32, x.shape}};
  (void)g.node(clip);

  const auto refuses = [&](NodeSpec node, const std::string& why,
                           const std::function<void(NodeSpec&)>& change) {
    change(node);
    try {
      (void)g.node(node);
      ADD_FAILURE() << "accepted: " << why;
    } catch (const UsageError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("/model/" + node.op), std::string::npos) << text;
      EXPECT_NE(text.find(why), std::string::npos) << text;
    }
  };
  refuses(slice, "it is F32 [batch, seq, 4]",
          [&](NodeSpec& n) { n.results = {Result{DType::f32, {kBatches, kTokens, 5}}}; });
  refuses(slice, "it is F32 [batch, seq, 4]",
          [&](NodeSpec& n) { n.results = {Result{DType::f32, {kTokens, kBatches, 4}}}; });
  refuses(slice, "it is F32 [batch, seq, 4]", [&](NodeSpec& n) { n.results[0]->dtype = DType::f16; });
  refuses(slice, "Slice", [&](NodeSpec& n) { n.operands.resize(1); });
  refuses(slice, "its operand nobody is no value", [&](NodeSpec& n) { n.operands[0].name = "nobody"; });
  refuses(slice, "it gives no result", [&](NodeSpec& n) { n.results = {std::nullopt}; });
  refuses(topk, "output 0", [&](NodeSpec& n) { n.results[0].reset(); });  // of TopK it is none to leave out
  refuses(topk, "two attributes axis", [&](NodeSpec& n) { n.attributes = {{"axis", 1}, {"axis", 2}}; });
  refuses(topk, "nosuch", [&](NodeSpec& n) { n.attributes = {{"nosuch", 1}}; });
  refuses(topk, "Nothing", [&](NodeSpec& n) { n.op = "Nothing"; });
  refuses(clip, "Clip", [&](NodeSpec& n) { n.operands[2] = g.scalar(std::int64_t{1}); });
}

TEST(GraphNodes, WhatIsLeftOutIsNoOperandOfOtherOps) {
  GraphBuilder g("test");
  const Value x = g.input("x", DType::f32, {});
  EXPECT_THROW((void)g.add(x, kLeftOut), UsageError);
  EXPECT_THROW(g.output(kLeftOut, "y"), UsageError);
  GraphBuilder other("other");
  EXPECT_THROW((void)other.neg(x), UsageError);
  EXPECT_THROW(other.output(x, "y"), UsageError);
  NodeSpec node{"A", "test.domain"};
  node.operands = {x};
  node.results = {Result{}};
  (void)g.node(node);
  node.version = 2;
  EXPECT_THROW((void)g.node(node), UsageError);  // a model imports one version of a domain
}

}  // namespace
}  // namespace qvl
