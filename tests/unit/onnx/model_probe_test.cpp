#include "onnx/read/model_probe.h"

#include <gtest/gtest.h>

#include <functional>

#include "onnx/build/graph_builder.h"
#include "onnx/onnx_model.h"
#include "onnx/read/model_summary.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using Names = std::vector<std::string>;

constexpr std::int64_t kWidth = 512;  // wide enough for the data file

// y = (x + bias) x big, with one weight, one constant in the data file and one in the graph.
OnnxModel build(const std::function<Value(GraphBuilder&, const Value&)>& last, float bias = 2.0F,
                std::int64_t columns = 8) {
  GraphBuilder g("test");
  const auto scope = g.module("m");
  const Value x = g.input("x", DType::f32, {Dim::symbol("n"), kWidth});
  const Value sum = g.add(x, g.scalar(bias, DType::f32));
  const Value scaled = g.mul(sum, g.constant("big", Tensor(DType::f32, {1, kWidth})));
  const Value product = g.matmul(scaled, g.weight("w", DType::f32, {kWidth, columns}));
  g.output(last(g, product), "y");
  return g.finish({});
}

Value negative(GraphBuilder& g, const Value& x) { return g.neg(x); }

class ModelProbeTest : public testing::Test {
 protected:
  std::filesystem::path save(const OnnxModel& model, const std::string& name = "a.onnx") const {
    model.save(folder_.path() / name, name + "_data");
    return folder_.path() / name;
  }

  const test::TemporaryFolder folder_;
};

TEST_F(ModelProbeTest, TellsPlacesMakersAndTakers) {
  const ModelProbe probe(save(build(negative)));
  ASSERT_EQ(probe.external_tensors().size(), 2U);
  EXPECT_EQ(probe.external_tensors()[0].name, "big");
  const ModelProbe::External& w = probe.external_tensors()[1];
  EXPECT_EQ(w.name, "w");
  EXPECT_EQ(w.dtype, "F32");
  EXPECT_EQ(w.shape, (Shape{kWidth, 8}));
  EXPECT_EQ(w.offset_bytes, 4096U);
  EXPECT_EQ(w.size_bytes, 16384U);
  EXPECT_EQ(w.data_file, "a.onnx_data");
  ASSERT_NE(probe.maker_of("y"), nullptr);
  EXPECT_EQ(probe.maker_of("y")->op, "Neg");
  EXPECT_EQ(probe.maker_of("y")->inputs, Names{"/m/MatMul_output_0"});
  EXPECT_EQ(probe.maker_of("x"), nullptr);
  EXPECT_EQ(probe.maker_of("none"), nullptr);
  ASSERT_EQ(probe.takers_of("w").size(), 1U);
  EXPECT_EQ(probe.takers_of("w")[0]->name, "/m/MatMul");
  EXPECT_TRUE(probe.takers_of("y").empty());
}

TEST_F(ModelProbeTest, GivesOutValuesFromInside) {
  const std::filesystem::path path = save(build(negative));
  const ModelProbe probe(path);
  const std::string bytes = probe.with_outputs(Names{"/m/MatMul_output_0", "y", "/m/Add_output_0"});
  const ModelSummary summary = summarize_model(std::as_bytes(std::span(bytes)), "copy");
  ASSERT_EQ(summary.outputs.size(), 3U);
  EXPECT_EQ(summary.outputs[0].name, "y");
  EXPECT_EQ(summary.outputs[1].name, "/m/MatMul_output_0");
  EXPECT_EQ(summary.outputs[1].shape, (Names{"n", "8"}));
  EXPECT_EQ(summary.outputs[2].name, "/m/Add_output_0");
  // Still a valid model, each name described once.
  const std::filesystem::path copy = folder_.path() / "copy.onnx";
  test::write_file(copy, bytes);
  test::write_file(folder_.path() / "a.onnx_data", std::string(20480, '\0'));
  EXPECT_NO_THROW(OnnxModel::check(copy));
  EXPECT_THROW((void)probe.with_outputs(Names{"none"}), UsageError);
  EXPECT_THROW((void)probe.with_outputs(Names{"x"}), UsageError);
}

TEST_F(ModelProbeTest, NamesTheFirstDifference) {
  const ModelProbe probe(save(build(negative), "found.onnx"));
  EXPECT_EQ(probe.difference_from(build(negative)), std::nullopt);
  const auto difference = [&](const OnnxModel& expected) {
    return probe.difference_from(expected).value_or("none");
  };
  EXPECT_NE(difference(build([](GraphBuilder& g, const Value& x) {
              return g.sqrt(x);
            })).find("/m/Neg (Neg) stands"),
            std::string::npos);
  EXPECT_EQ(difference(build(negative, 3.0F)),
            "initializer scalar_f32_2 stands where scalar_f32_3 is expected");
  EXPECT_NE(difference(build(negative, 2.0F, 9)).find("output y"), std::string::npos);
  EXPECT_EQ(difference(build([](GraphBuilder& g, const Value& x) { return g.neg(g.neg(x)); })),
            "node /m/Neg makes y; /m/Neg_output_0 is expected");
}

// The same nodes mean something else where a local function has the name of an operator.
TEST_F(ModelProbeTest, WhatLiesBesideTheNodesCounts) {
  const OnnxModel expected = build(negative);
  const std::string good = test::read_file(save(expected));
  const auto difference = [&](const std::string& bytes) {
    test::write_file(folder_.path() / "changed.onnx", bytes);
    return ModelProbe(folder_.path() / "changed.onnx").difference_from(expected).value_or("none");
  };
  // A protobuf message with another behind it is both merged: the fields that are there once are replaced, to
  // the lists is added.
  const auto with = [&](const std::string& more) { return difference(good + more); };
  using namespace std::string_literals;
  EXPECT_EQ(with(""), "none");
  EXPECT_EQ(with("\x12\x05other"), "none");  // producer_name
  EXPECT_NE(with("\x08\x63").find("IR version is 99; "), std::string::npos);
  EXPECT_EQ(with("\xca\x01\x05\x0a\x03Neg"), "1 local functions; 0 are expected");
  EXPECT_EQ(with("\x3a\x02\x7a\x00"s), "1 sparse initializers; 0 are expected");  // in the graph
  EXPECT_NE(with("\x3a\x02\x72\x00"s).find("annotations"), std::string::npos);    // quantization_annotation
  EXPECT_NE(with("\xa2\x01\x00"s).find("annotations"), std::string::npos);        // training_info
}

TEST_F(ModelProbeTest, RefusesWhatIsNoModel) {
  EXPECT_THROW(ModelProbe(folder_.path() / "none"), InputError);
  test::write_file(folder_.path() / "text", "no model");
  EXPECT_THROW(ModelProbe(folder_.path() / "text"), InputError);
  const std::string good = test::read_file(save(build(negative)));
  // The place of external data as text: "4096" becomes "40x6".
  std::string bytes = good;
  bytes[bytes.find("4096") + 2] = 'x';
  test::write_file(folder_.path() / "place", bytes);
  EXPECT_THROW(ModelProbe(folder_.path() / "place"), InputError);
  EXPECT_THROW(ModelProbe(test::data("goldens/README.md")), InputError);
}

}  // namespace
}  // namespace qvl
