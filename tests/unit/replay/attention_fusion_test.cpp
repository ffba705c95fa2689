// Slices whose attentions are fused against the same slices step by step.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "onnx/build/graph_builder.h"
#include "onnx/onnx_model.h"
#include "onnx/read/model_graph.h"
#include "qvl/error.h"
#include "qvl/export.h"
#include "runtime/session.h"
#include "support/test_data.h"

namespace qvl {
namespace {

Tensor noise(const Shape& shape, std::uint32_t state) {
  Tensor tensor(DType::f32, shape);
  for (float& value : tensor.as<float>()) {
    state = state * 1664525U + 1013904223U;
    value = (static_cast<float>(state >> 8U) - 0x1p23F) * 0x1p-23F;
  }
  return tensor;
}

// All of a model, or what `change` makes of it.
ModelSlice whole(const ModelGraph& graph, bool fuse) {
  ModelSlice slice;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) slice.nodes.push_back(i);
  for (const ModelGraph::Port& input : graph.inputs())
    slice.inputs.push_back({input.name, input.dtype.value()});
  for (const ModelGraph::Port& output : graph.outputs()) slice.outputs.push_back(output.name);
  slice.fuse_attention = fuse;
  return slice;
}

std::vector<OutputTensor> run(const ModelGraph& graph, const ModelSlice& slice,
                              const std::vector<NamedTensor>& inputs) {
  SessionOptions options;
  options.threads = 1;
  options.own_operators = true;
  return Session::from_bytes(graph.slice(slice), graph.path(), options).run(inputs);
}

class AttentionFusionTest : public testing::Test {
 protected:
  // Fused attentions of a slice.
  [[nodiscard]] std::int64_t fused(const ModelGraph& graph, const ModelSlice& slice,
                                   const std::string& op = "Attention") const {
    const auto path = graph.path().parent_path() / "slice.onnx";
    test::write_file(path, graph.slice(slice));
    const ModelGraph read(path);
    return std::ranges::count_if(
        read.nodes(), [&](const ModelGraph::Node& node) { return node.op == op && node.domain == "qvl"; });
  }

  ModelGraph built(const std::function<void(GraphBuilder&)>& build) const {
    GraphBuilder g("test");
    build(g);
    const auto path = folder_.path() / "model.onnx";
    g.finish({}).save(path, "model.onnx_data");
    return ModelGraph(path);
  }

  static void expect_same(const ModelGraph& graph, const std::vector<NamedTensor>& inputs) {
    const auto plain = run(graph, whole(graph, false), inputs);
    const auto with = run(graph, whole(graph, true), inputs);
    ASSERT_EQ(plain.size(), with.size());
    for (std::size_t o = 0; o < plain.size(); ++o) {
      ASSERT_EQ(plain[o].shape(), with[o].shape());
      const auto expected = plain[o].as<float>();
      const auto found = with[o].as<float>();
      float most = 0.0F;
      float difference = 0.0F;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(std::isnan(expected[i]), std::isnan(found[i])) << i;
        if (std::isnan(expected[i])) continue;
        most = std::max(most, std::abs(expected[i]));
        difference = std::max(difference, std::abs(expected[i] - found[i]));
      }
      EXPECT_LE(difference, 1e-5F * most);
    }
  }

  // As replays are made: the same bits as of the steps one by one.
  static void expect_same_bits_in_blocks(const ModelGraph& graph, const std::vector<NamedTensor>& inputs) {
    ModelSlice slice = whole(graph, false);
    SessionOptions options;
    options.threads = 1;
    options.own_operators = true;
    options.denormals_as_zero = true;
    const auto plain = Session::from_bytes(graph.slice(slice), graph.path(), options).run(inputs);
    slice.block_attention = true;
    slice.fuse_rotary = true;
    const auto with = Session::from_bytes(graph.slice(slice), graph.path(), options).run(inputs);
    ASSERT_EQ(plain.size(), with.size());
    for (std::size_t o = 0; o < plain.size(); ++o) {
      ASSERT_EQ(plain[o].shape(), with[o].shape());
      EXPECT_TRUE(std::ranges::equal(plain[o].bytes(), with[o].bytes())) << o;
    }
  }
  [[nodiscard]] std::int64_t in_blocks(const ModelGraph& graph) const {
    ModelSlice slice = whole(graph, false);
    slice.block_attention = true;
    return fused(graph, slice);
  }

  const test::TemporaryFolder folder_;
};

const Dim kRows = Dim::symbol("rows");
const Dim kKeys = Dim::symbol("keys");

struct Operands {
  Value q, k, v, mask;
};

Operands operands(GraphBuilder& g) {
  return {g.input("q", DType::f32, {2, 3, kRows, 8}), g.input("k", DType::f32, {2, 1, 8, kKeys}),
          g.input("v", DType::f32, {2, 1, kKeys, 6}), g.input("mask", DType::f32, {1, 1, kRows, kKeys})};
}

TEST_F(AttentionFusionTest, OperatorGivesWhatTheStepsGive) {
  const Tensor q = noise({2, 3, 70, 8}, 1);
  const Tensor k = noise({2, 1, 8, 300}, 2);
  const Tensor v = noise({2, 1, 300, 6}, 3);
  for (const float low :
       {-5.0F, std::numeric_limits<float>::lowest(), -std::numeric_limits<float>::infinity()}) {
    Tensor mask(DType::f32, {1, 1, 70, 300});
    for (std::size_t i = 0; i < 70 * 300; ++i)
      mask.as<float>()[i] = i / 300 == 7 || i % 300 > i / 300 + 100 ? low : 0.0F;  // row 7 sees nothing
    const std::vector<NamedTensor> inputs{
        {"q", q.view()}, {"k", k.view()}, {"v", v.view()}, {"mask", mask.view()}};
    for (const int form : {0, 1, 2, 3}) {  // of the scale
      const ModelGraph graph = built([&](GraphBuilder& g) {
        const Operands in = operands(g);
        Value scores = g.matmul(in.q, in.k);
        if (form == 1) scores = g.mul(scores, g.scalar(0.3F, DType::f32));
        if (form == 2) scores = g.mul(g.scalar(0.3F, DType::f32), scores);
        if (form == 3) scores = g.div(scores, g.scalar(3.0F, DType::f32));
        scores = form == 1 ? g.add(in.mask, scores) : g.add(scores, in.mask);
        g.output(g.matmul(g.softmax(scores), in.v), "out");
      });
      EXPECT_EQ(fused(graph, whole(graph, true)), 1);
      EXPECT_EQ(fused(graph, whole(graph, false)), 0);
      expect_same(graph, inputs);
    }
  }
}

// 181 rows are one more than a block of 700 keys takes. The mask's rows close none, some and all keys.
TEST_F(AttentionFusionTest, BlocksGiveTheBitsOfTheSteps) {
  const Tensor q = noise({2, 3, 181, 8}, 1);
  const Tensor k = noise({2, 1, 8, 700}, 2);
  const Tensor v = noise({2, 1, 700, 6}, 3);
  const ModelGraph graph = built([&](GraphBuilder& g) {
    const Operands in = operands(g);
    g.output(g.matmul(g.softmax(g.add(g.matmul(in.q, in.k), in.mask)), in.v), "out");
  });
  EXPECT_EQ(in_blocks(graph), 1);
  for (const std::int64_t rows_seeing_nothing : {0, 1, 181}) {
    for (const float low : {std::numeric_limits<float>::lowest(), -std::numeric_limits<float>::infinity()}) {
      if (rows_seeing_nothing > 0 && std::isinf(low)) continue;  // NaN
      Tensor mask(DType::f32, {1, 1, 181, 700});
      for (std::int64_t i = 0; i < 181 * 700; ++i) {
        const bool closed = i / 700 < rows_seeing_nothing || i % 700 > i / 700 * 3;
        mask.as<float>()[static_cast<std::size_t>(i)] = closed ? low : 0.0F;
      }
      expect_same_bits_in_blocks(graph,
                                 {{"q", q.view()}, {"k", k.view()}, {"v", v.view()}, {"mask", mask.view()}});
    }
  }
}

// Heads that are small go together, large ones in parts.
TEST_F(AttentionFusionTest, BlocksWithoutAMaskGiveTheBitsOfTheSteps) {
  for (const std::int64_t keys : {1, 16, 64, 2304}) {
    const ModelGraph graph = built([&](GraphBuilder& g) {
      const Value q = g.input("q", DType::f32, {5, 2, keys, 32});
      const Value k = g.input("k", DType::f32, {5, 2, 32, keys});
      const Value v = g.input("v", DType::f32, {5, 2, keys, 32});
      g.output(g.matmul(g.softmax(g.matmul(q, k)), v), "out");
    });
    const Tensor q = noise({5, 2, keys, 32}, 1);
    const Tensor k = noise({5, 2, 32, keys}, 2);
    const Tensor v = noise({5, 2, keys, 32}, 3);
    expect_same_bits_in_blocks(graph, {{"q", q.view()}, {"k", k.view()}, {"v", v.view()}});
  }
}

TEST_F(AttentionFusionTest, NoBlocksWhereTheStepsHoldMore) {
  EXPECT_EQ(in_blocks(built([&](GraphBuilder& g) {
              const Operands in = operands(g);
              const Value scores = g.mul(g.matmul(in.q, in.k), g.scalar(0.3F, DType::f32));
              g.output(g.matmul(g.softmax(scores), in.v), "out");
            })),
            0);
}

TEST_F(AttentionFusionTest, OnlyWhereNothingElseTakesAValueBetween) {
  const auto count = [&](const std::function<void(GraphBuilder&, const Operands&)>& build) {
    const ModelGraph graph = built([&](GraphBuilder& g) {
      const Operands in = operands(g);
      build(g, in);
      g.output(g.neg(in.mask), "mask_out");  // so that every input is taken
    });
    return fused(graph, whole(graph, true));
  };
  EXPECT_EQ(count([](GraphBuilder& g, const Operands& in) {
              g.output(g.matmul(g.softmax(g.matmul(in.q, in.k)), in.v), "out");
            }),
            1);
  EXPECT_EQ(count([](GraphBuilder& g, const Operands& in) {  // the scores are asked for
              const Value scores = g.matmul(in.q, in.k);
              g.output(g.matmul(g.softmax(scores), in.v), "out");
              g.output(scores, "scores");
            }),
            0);
  EXPECT_EQ(count([](GraphBuilder& g, const Operands& in) {  // the weights are taken twice
              const Value weights = g.softmax(g.matmul(in.q, in.k));
              g.output(g.matmul(weights, in.v), "out");
              g.output(g.matmul(weights, g.neg(in.v)), "out2");
            }),
            0);
  EXPECT_EQ(count([](GraphBuilder& g, const Operands& in) {  // no softmax
              g.output(g.matmul(g.sigmoid(g.matmul(in.q, in.k)), in.v), "out");
            }),
            0);
  EXPECT_EQ(count([](GraphBuilder& g, const Operands& in) {  // no product below
              g.output(g.matmul(g.softmax(in.mask), in.v), "out");
            }),
            0);
  EXPECT_EQ(count([](GraphBuilder& g, const Operands& in) {  // a factor that is no constant
              const Value scores = g.mul(g.matmul(in.q, in.k), in.mask);
              g.output(g.matmul(g.softmax(scores), in.v), "out");
            }),
            0);
}

TEST_F(AttentionFusionTest, OnlyWhatLiesInTheSlice) {
  const ModelGraph graph = built([&](GraphBuilder& g) {
    const Operands in = operands(g);
    g.output(g.matmul(g.softmax(g.add(g.matmul(in.q, in.k), in.mask)), in.v), "out");
  });
  ModelSlice slice = whole(graph, true);
  const auto product = graph.nodes()[0];
  slice.nodes.erase(slice.nodes.begin());
  slice.inputs = {{product.outputs[0], DType::f32}, {"v", DType::f32}, {"mask", DType::f32}};
  EXPECT_EQ(fused(graph, slice), 0);
  slice = whole(graph, true);
  slice.outputs.push_back(graph.nodes()[2].outputs[0]);  // the weights
  EXPECT_EQ(fused(graph, slice), 0);
}

TEST_F(AttentionFusionTest, ShapesThatDoNotFitEndTheRun) {
  const ModelGraph graph = built([&](GraphBuilder& g) {
    const Operands in = operands(g);
    g.output(g.matmul(g.softmax(g.add(g.matmul(in.q, in.k), in.mask)), in.v), "out");
  });
  const Tensor q = noise({2, 3, 4, 8}, 1);
  const Tensor k = noise({2, 1, 8, 5}, 2);
  const Tensor v = noise({2, 1, 6, 6}, 3);
  const Tensor mask = noise({1, 1, 4, 5}, 4);
  try {
    run(graph, whole(graph, true),
        {{"q", q.view()}, {"k", k.view()}, {"v", v.view()}, {"mask", mask.view()}});
    ADD_FAILURE() << "5 keys and 6 values";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("as many values as keys"), std::string::npos) << error.what();
  }
}

TEST_F(AttentionFusionTest, DemoArtifactsStayWhatTheyAre) {
  ExportOptions options;
  options.checkpoint = test::demo_checkpoint();
  options.out = folder_.path() / "demo";
  options.image_width_pixels = 280;
  options.image_height_pixels = 168;
  const ExportResult result = export_checkpoint(options);
  const Tensor pixels = noise({1, 3, 168, 280}, 5);
  Tensor ids(DType::i64, {2, 90});
  Tensor seen(DType::i64, {2, 90});
  for (std::size_t i = 0; i < 180; ++i) {
    ids.as<std::int64_t>()[i] = static_cast<std::int64_t>(i * 29 % 300);
    seen.as<std::int64_t>()[i] = i >= 20 ? 1 : 0;  // the first row is padded on the left
  }
  const Tensor embeds = noise({2, 90, 192}, 6);
  for (const ExportedArtifact& artifact : result.artifacts) {
    SCOPED_TRACE(artifact.file);
    const ModelGraph graph(options.out / artifact.file);
    std::vector<NamedTensor> inputs;
    for (const ModelGraph::Port& port : graph.inputs()) {
      const Tensor& tensor = port.name == "pixel_values"     ? pixels
                             : port.name == "input_ids"      ? ids
                             : port.name == "attention_mask" ? seen
                                                             : embeds;
      inputs.push_back({port.name, tensor.view()});
    }
    const auto softmaxes = std::ranges::count(graph.nodes(), "Softmax", &ModelGraph::Node::op);
    EXPECT_GE(softmaxes, 4);
    EXPECT_EQ(fused(graph, whole(graph, true)), softmaxes);
    EXPECT_EQ(in_blocks(graph), softmaxes);
    ModelSlice turning = whole(graph, false);
    turning.fuse_rotary = true;
    EXPECT_EQ(fused(graph, turning, "Rotary"), 8);  // queries and keys of four blocks
    expect_same(graph, inputs);
    expect_same_bits_in_blocks(graph, inputs);
  }
}

// As PyTorch writes them. bert's set weights that are no numbers to 0.
TEST_F(AttentionFusionTest, ForeignModelsStayWhatTheyAre) {
  Tensor ids(DType::i64, {2, 60});
  Tensor seen(DType::i64, {2, 60});
  for (std::size_t i = 0; i < 120; ++i) {
    ids.as<std::int64_t>()[i] = static_cast<std::int64_t>(i * 29 % 300);
    seen.as<std::int64_t>()[i] = i >= 10 ? 1 : 0;
  }
  const Tensor pixels = noise({1, 3, 672, 672}, 7);
  for (const std::string name : {"text", "bert", "vision_672"}) {
    SCOPED_TRACE(name);
    const auto path = folder_.path() / (name + ".onnx");
    std::filesystem::copy_file(test::data("foreign-onnx") / (name + ".onnx"), path);
    const ModelGraph graph(path);
    const auto softmaxes = std::ranges::count(graph.nodes(), "Softmax", &ModelGraph::Node::op);
    EXPECT_EQ(fused(graph, whole(graph, true)), softmaxes);
    if (name == "vision_672") {
      expect_same(graph, {{"pixel_values", pixels.view()}});
    } else {
      expect_same(graph, {{"input_ids", ids.view()}, {"attention_mask", seen.view()}});
    }
  }
}

}  // namespace
}  // namespace qvl
