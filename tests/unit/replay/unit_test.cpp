// Which nodes are units, and what their weights are.
#include "replay/unit.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>

#include "qvl/export.h"
#include "support/hand_made_model.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::add_node;
using test::HandMadeModel;
using test::kOpen;
using test::noise;
using Proto = onnx::TensorProto;

std::map<std::string, std::size_t> count_by_op(const std::vector<Unit>& units) {
  std::map<std::string, std::size_t> counts;
  for (const Unit& unit : units) ++counts[unit.op];
  return counts;
}

onnx::ModelProto parse(const std::filesystem::path& file) {
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(test::read_file(file)));
  return model;
}

using Counts = std::map<std::string, std::size_t>;

struct Foreign {
  const char* file;
  Counts units;
};

class ForeignUnits : public testing::TestWithParam<Foreign> {};

TEST_P(ForeignUnits, AreAllThatTheFileHas) {
  const ModelGraph graph(test::data("foreign-onnx") / GetParam().file);
  const std::vector<Unit> units = find_units(graph);
  EXPECT_EQ(count_by_op(units), GetParam().units);
  // What the file itself says of each.
  const onnx::ModelProto model = parse(graph.path());
  std::map<std::string, const Proto*> initializers;
  for (const Proto& tensor : model.graph().initializer()) initializers[tensor.name()] = &tensor;
  std::map<std::string, const onnx::NodeProto*> nodes;
  for (const onnx::NodeProto& node : model.graph().node()) nodes[node.name()] = &node;
  std::set<std::string> names;
  for (const Unit& unit : units) {
    ASSERT_TRUE(nodes.contains(unit.name)) << unit.name;
    const onnx::NodeProto& node = *nodes.at(unit.name);
    EXPECT_EQ(unit.name, graph.nodes()[unit.node].name);
    EXPECT_EQ(unit.op, node.op_type());
    EXPECT_EQ(unit.input, node.input(0));
    EXPECT_EQ(unit.weight, node.input(1));
    EXPECT_EQ(unit.weight_value, node.input(1));
    EXPECT_EQ(unit.output, node.output(0));
    EXPECT_TRUE(names.insert(unit.name).second);
    const Proto& tensor = *initializers.at(unit.weight);
    EXPECT_EQ(unit.shape, Shape(tensor.dims().begin(), tensor.dims().end()));
    std::vector<float> stored(tensor.raw_data().size() / sizeof(float));
    std::memcpy(stored.data(), tensor.raw_data().data(), tensor.raw_data().size());
    EXPECT_EQ(load_weight(graph, unit, 2), stored) << unit.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, ForeignUnits,
                         testing::Values(Foreign{"bert.onnx", {{"MatMul", 24}}},
                                         Foreign{"resnet.onnx", {{"Conv", 11}}},
                                         Foreign{"text.onnx", {{"MatMul", 22}}},
                                         Foreign{"vision_672.onnx", {{"Gemm", 17}, {"Conv", 1}}}),
                         [](const auto& instance) {
                           std::string name = instance.param.file;
                           return name.substr(0, name.find('.'));
                         });

TEST(Units, OfOurOwnExports) {
  const test::TemporaryFolder folder;
  ExportOptions options;
  options.checkpoint = test::demo_checkpoint();
  options.out = folder.path();
  const ExportResult result = export_checkpoint(options);
  ASSERT_EQ(result.artifacts.size(), 3U);
  for (const ExportedArtifact& artifact : result.artifacts) {
    const ModelGraph graph(folder.path() / artifact.file);
    const std::vector<Unit> units = find_units(graph);
    EXPECT_EQ(units.size(), artifact.artifact == "vision" ? 23U : 29U) << artifact.file;
    for (const Unit& unit : units) {
      EXPECT_TRUE(unit.name.starts_with('/') && unit.name.find(unit.op) != std::string::npos) << unit.name;
      EXPECT_EQ(unit.layout.elements(), static_cast<std::size_t>(*element_count(unit.shape)));
    }
  }
}

class UnitTest : public testing::Test {
 protected:
  const ModelGraph& load(const HandMadeModel& model) {
    model.save(folder_.path() / "model.onnx");
    graph_ = std::make_unique<ModelGraph>(folder_.path() / "model.onnx");
    return *graph_;
  }

  const test::TemporaryFolder folder_;
  std::unique_ptr<ModelGraph> graph_;
};

struct Expected {
  std::string weight;
  Shape shape;
  std::vector<float> values;
};

// Weights that nodes make of the stored ones: through each of them, and through several.
TEST_F(UnitTest, WeightsAreFoundBehindOtherNodes) {
  const std::vector<float> w{1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<std::int8_t> codes{1, -2, 3, -4, 5, -6, 7, -8};
  HandMadeModel model(21);
  model.proto().set_ir_version(10);
  model.input("x", {1, 4});
  model.floats("w", {4, 2}, w);
  model.floats("w_turned", {2, 4}, w);
  model.halves("w_half", {4, 2}, w);
  model.bytes("codes", {4, 2}, codes);
  model.floats("scale", {}, {0.5F});
  model.floats("scales", {2}, {0.5F, 10});
  model.floats("block_scales", {2, 2}, {0.5F, 10, 100, 1000});
  model.bytes("zero_points", {2}, {1, 2});
  std::map<std::string, Expected> expected{{"w", {"w", {4, 2}, w}}};  // by weight_value
  test::set(model.node("Cast", {"w_half"}, {"cast"}), "to", Proto::FLOAT);
  expected["cast"] = {"w_half", {4, 2}, w};
  model.node("Transpose", {"w_turned"}, {"turned"});
  expected["turned"] = {"w_turned", {4, 2}, {1, 5, 2, 6, 3, 7, 4, 8}};
  model.node("Identity", {"w"}, {"same"});
  expected["same"] = {"w", {4, 2}, w};
  model.node("DequantizeLinear", {"codes", "scale"}, {"per_tensor"});
  expected["per_tensor"] = {"codes", {4, 2}, {0.5F, -1, 1.5F, -2, 2.5F, -3, 3.5F, -4}};
  model.node("DequantizeLinear", {"codes", "scales", "zero_points"}, {"per_axis"});
  expected["per_axis"] = {"codes", {4, 2}, {0, -40, 1, -60, 2, -80, 3, -100}};
  onnx::NodeProto& blocked = model.node("DequantizeLinear", {"codes", "block_scales"}, {"blocked"});
  test::set(blocked, "axis", 0);
  test::set(blocked, "block_size", 2);
  expected["blocked"] = {"codes", {4, 2}, {0.5F, -20, 1.5F, -40, 500, -6000, 700, -8000}};
  model.node("Identity", {"per_tensor"}, {"chain1"});
  model.node("Transpose", {"chain1"}, {"chain2"});
  model.node("Transpose", {"chain2"}, {"chain"});
  expected["chain"] = {"codes", {4, 2}, expected["per_tensor"].values};
  test::set(model.node("Constant", {}, {"constant"}), "value", test::float_tensor("", {4, 2}, w));
  expected["constant"] = {"constant", {4, 2}, w};
  std::vector<std::string> results;
  for (const auto& [value, weight] : expected) {
    model.node("MatMul", {"x", value}, {"x " + value});
    results.push_back("x " + value);
  }
  model.node("Sum", results, {"y"});
  model.output("y");
  const ModelGraph& graph = load(model);
  const std::vector<Unit> units = find_units(graph);
  ASSERT_EQ(units.size(), expected.size());
  for (const Unit& unit : units) {
    const Expected& e = expected.at(unit.weight_value);
    EXPECT_EQ(unit.weight, e.weight) << unit.weight_value;
    EXPECT_EQ(unit.shape, e.shape) << unit.weight_value;
    EXPECT_EQ(load_weight(graph, unit, 1), e.values) << unit.weight_value;
  }
}

TEST_F(UnitTest, LayoutsFollowTheOp) {
  HandMadeModel model;
  model.input("x", {5, 4});
  model.input("p", {1, 4, 8, 8});
  model.floats("plain", {4, 6}, noise(24, 1));
  model.floats("turned", {6, 4}, noise(24, 2));
  model.floats("stack", {3, 4, 6}, noise(72, 3));
  model.floats("vector", {4}, noise(4, 4));
  model.floats("kernel", {6, 4, 3, 3}, noise(216, 5));
  model.floats("grouped", {6, 2, 3, 3}, noise(108, 6));
  model.node("MatMul", {"x", "plain"}, {"a"}, "matmul");
  model.node("MatMul", {"x", "stack"}, {"b"}, "stack");
  model.node("MatMul", {"x", "vector"}, {"c"}, "vector");
  model.node("Gemm", {"x", "plain"}, {"d"}, "gemm");
  test::set(model.node("Gemm", {"x", "turned"}, {"e"}, "gemm turned"), "transB", 1);
  model.node("Conv", {"p", "kernel"}, {"f"}, "conv");
  test::set(model.node("Conv", {"p", "grouped"}, {"g"}, "conv grouped"), "group", 2);
  std::vector<std::string> sums;
  for (const std::string value : {"a", "b", "c", "d", "e", "f", "g"}) {
    test::set(model.node("ReduceSum", {value}, {value + " sum"}), "keepdims", 0);
    sums.push_back(value + " sum");
  }
  model.node("Sum", sums, {"y"});
  model.output("y");
  const ModelGraph& graph = load(model);
  std::map<std::string, WeightLayout> layouts;
  for (const Unit& unit : find_units(graph)) layouts[unit.name] = unit.layout;
  using enum DepthAxis;
  const std::map<std::string, WeightLayout> expected{
      {"matmul", {1, 6, 4, strided}},          {"stack", {3, 6, 4, strided}},
      {"vector", {1, 1, 4, contiguous}},       {"gemm", {1, 6, 4, strided}},
      {"gemm turned", {1, 6, 4, contiguous}},  {"conv", {1, 6, 36, contiguous}},
      {"conv grouped", {1, 6, 18, contiguous}}};
  ASSERT_EQ(layouts.size(), expected.size());
  for (const auto& [name, layout] : expected) {
    const WeightLayout& found = layouts.at(name);
    EXPECT_EQ(found.matrices, layout.matrices) << name;
    EXPECT_EQ(found.rows, layout.rows) << name;
    EXPECT_EQ(found.depth, layout.depth) << name;
    // Where one row is all there is, both axes are the same.
    EXPECT_TRUE(layout.rows == 1 || found.axis == layout.axis) << name;
  }
}

TEST_F(UnitTest, OthersAreNone) {
  HandMadeModel model;
  model.input("x", {2, 2});
  model.input("condition", {}, Proto::BOOL);
  model.floats("w", {2, 2}, {1, 2, 3, 4});
  Proto& doubles = *model.graph().add_initializer();
  doubles.set_name("doubles");
  doubles.set_data_type(Proto::DOUBLE);
  for (int i = 0; i < 2; ++i) doubles.add_dims(2);
  for (const double value : {1.0, 2.0, 3.0, 4.0}) doubles.add_double_data(value);
  test::set(model.node("RandomNormal", {}, {"random"}), "shape", std::vector<std::int64_t>{2, 2});
  model.node("MatMul", {"x", "w"}, {"unit"}, "the only one");
  model.node("MatMul", {"w", "x"}, {"first"});     // the constant comes first
  model.node("MatMul", {"x", "unit"}, {"both"});   // none is constant
  model.node("MatMul", {"w", "w"}, {"constant"});  // both are
  model.node("MatMul", {"x", "random"}, {"by chance"});
  test::set(model.node("Cast", {"x"}, {"x64"}), "to", Proto::DOUBLE);
  model.node("MatMul", {"x64", "doubles"}, {"y64"});
  test::set(model.node("Cast", {"y64"}, {"wide"}), "to", Proto::FLOAT);
  model.node("FusedMatMul", {"x", "w"}, {"other op"}).set_domain("com.microsoft");
  model.node("MatMul", {"x", "w"}, {"other domain"}).set_domain("local");
  onnx::NodeProto& choice = model.node("If", {"condition"}, {"chosen"});
  for (const char* branch : {"then_branch", "else_branch"}) {
    onnx::GraphProto& graph = test::sub_graph(choice, branch);
    add_node(graph, "MatMul", {"x", "w"}, {"out"});
    *graph.add_output() = test::value_info("out", {2, 2}, Proto::FLOAT);
  }
  model.node("Sum",
             {"unit", "first", "both", "constant", "by chance", "wide", "other op", "other domain", "chosen"},
             {"y"});
  model.node("MatMul", {"y", "w"}, {"for nothing"});
  model.output("y");
  const std::vector<Unit> units = find_units(load(model));
  ASSERT_EQ(units.size(), 1U);
  EXPECT_EQ(units[0].name, "the only one");
}

TEST_F(UnitTest, ThoseOfAnyOutputCount) {
  HandMadeModel model;
  model.input("x", {2, 2});
  model.floats("w", {2, 2}, {1, 2, 3, 4});
  model.floats("v", {2, 2}, {1, 2, 3, 5});
  model.node("MatMul", {"x", "w"}, {"a"}, "first");
  model.node("MatMul", {"x", "v"}, {"b"}, "second");
  test::set(model.node("ArgMax", {"b"}, {"labels"}), "axis", 1);
  model.output("a");
  model.output("labels", Proto::INT64);
  const std::vector<Unit> units = find_units(load(model));
  ASSERT_EQ(units.size(), 2U);
  EXPECT_EQ(units[1].name, "second");
}

TEST_F(UnitTest, ThoseInsideFunctionsHaveTheNamesOfTheCalls) {
  std::map<std::string, std::string> weights;
  for (const Unit& unit : find_units(load(test::model_of_functions(8)))) weights[unit.name] = unit.weight;
  EXPECT_EQ(weights, (std::map<std::string, std::string>{{"first/down/MatMul", "w1"},
                                                         {"first/up/MatMul", "w0"},
                                                         {"second/down/MatMul", "w3"},
                                                         {"second/up/MatMul", "w2"}}));
}

// A unit whose numbers nobody looks at cannot break anything.
TEST_F(UnitTest, WhatOnlyGivesItsShapeIsNone) {
  HandMadeModel model;
  model.input("x", {2, 2});
  model.floats("w", {2, 2}, {1, 2, 3, 4});
  model.node("MatMul", {"x", "w"}, {"a"}, "shape only");
  model.node("Shape", {"a"}, {"shape"});
  model.node("MatMul", {"x", "w"}, {"b"}, "used");
  model.node("Reshape", {"b", "shape"}, {"y"});
  model.output("y");
  const std::vector<Unit> units = find_units(load(model));
  ASSERT_EQ(units.size(), 1U);
  EXPECT_EQ(units[0].name, "used");
}

TEST_F(UnitTest, NamesTellUnitsApart) {
  HandMadeModel model;
  model.input("x", {2, 2});
  model.floats("w", {2, 2}, {1, 2, 3, 4});
  const std::vector<std::string> given{"same", "", "same", "same#2", "", "same"};
  std::string value = "x";
  for (std::size_t i = 0; i < given.size(); ++i) {
    const std::string output = "value" + std::to_string(i);
    model.node("MatMul", {value, "w"}, {output}, given[i]);
    value = output;
  }
  model.output(value);
  std::vector<std::string> names;
  for (const Unit& unit : find_units(load(model))) names.push_back(unit.name);
  EXPECT_EQ(std::set(names.begin(), names.end()).size(), given.size());
  EXPECT_EQ(names[0], "same");
  EXPECT_EQ(names[1], "MatMul:value1");
  EXPECT_EQ(names[2], "same#2");
  EXPECT_EQ(names[4], "MatMul:value4");
}

TEST(Matches, NamesAndPatterns) {
  const std::string name = "/model/layers.3/mlp/up_proj/MatMul";
  for (const char* pattern : {"*", "/model/*", "*/up_proj/*", "*MatMul", "/model/layers.?/*",
                              "*/q_proj/*,*/up_proj/*", "*,!*/q_proj/*", "!*/q_proj/*", "!a,!b"}) {
    EXPECT_TRUE(matches(pattern, name)) << pattern;
  }
  for (const char* pattern :
       {"", "model/*",
        "/model/layers.?"
        "?/*",
        "*/q_proj/*", "*,!*/up_proj/*", "!*/up_proj/*", "!*/up_proj/*,*", "/MODEL/*", "up_proj"}) {
    EXPECT_FALSE(matches(pattern, name)) << pattern;
  }
  EXPECT_TRUE(matches(name, name));
}

TEST(Matches, OnlyStarAndQuestionMarkMeanMore) {
  for (const std::string name : {"block[3]/MatMul", "a\\b", "x{1}", "[!a]", "tail\\"}) {
    EXPECT_TRUE(matches(name, name)) << name;
    EXPECT_TRUE(matches("?" + name.substr(1), name)) << name;
  }
  EXPECT_FALSE(matches("block[3]", "block3"));
  EXPECT_FALSE(matches("\\*", "*"));
}

}  // namespace
}  // namespace qvl
