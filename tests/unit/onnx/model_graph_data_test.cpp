// Where the values of a ModelGraph's constants lie, and how they are read.
#include <gtest/gtest.h>

#include <bit>
#include <functional>
#include <numeric>

#include "core/half.h"
#include "onnx/read/model_graph.h"
#include "qvl/error.h"
#include "support/error_text.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::HandMadeModel;
using test::input_error;
using test::Names;
using Proto = onnx::TensorProto;

class ModelGraphDataTest : public testing::Test {
 protected:
  [[nodiscard]] fs::path path(const std::string& name) const { return folder_.path() / name; }
  [[nodiscard]] fs::path save(const HandMadeModel& model) const {
    model.save(path("model.onnx"));
    return path("model.onnx");
  }
  [[nodiscard]] std::string error_of(const HandMadeModel& model) const {
    return input_error([&] { ModelGraph graph(save(model)); });
  }

  const test::TemporaryFolder folder_;
};

// y = x, beside constants that the tests add.
HandMadeModel with_output() {
  HandMadeModel model(21);
  model.proto().set_ir_version(10);
  model.input("x", {1});
  model.node("Identity", {"x"}, {"y"});
  model.output("y");
  return model;
}

std::vector<float> read(const ModelGraph& graph, const std::string& name, std::size_t first,
                        std::size_t count) {
  std::vector<float> values(count);
  graph.read_f32(name, first, values);
  return values;
}

// A tensor whose values stand in the field of their type instead of in raw bytes.
Proto& typed(HandMadeModel& model, const std::string& name, int type, std::int64_t count) {
  Proto& tensor = *model.graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  tensor.add_dims(count);
  return tensor;
}

TEST_F(ModelGraphDataTest, ReadsTypedAndRawValues) {
  const std::vector<float> values{1.5F, -0.25F, 65504.0F, 0};
  HandMadeModel model = with_output();
  Proto& f32 = typed(model, "f32", Proto::FLOAT, 4);
  Proto& f64 = typed(model, "f64", Proto::DOUBLE, 4);
  Proto& f16 = typed(model, "f16", Proto::FLOAT16, 4);
  Proto& bf16 = typed(model, "bf16", Proto::BFLOAT16, 4);
  for (const float value : values) {
    f32.add_float_data(value);
    f64.add_double_data(value);
    f16.add_int32_data(to_half(value).bits);
    bf16.add_int32_data(to_bfloat16(value).bits);
  }
  model.floats("f32 raw", {4}, values);
  model.halves("f16 raw", {2, 2}, values);
  model.bfloats("bf16 raw", {4}, values);
  Proto& f64_raw = typed(model, "f64 raw", Proto::DOUBLE, 4);
  for (const double value : values) {
    const auto bytes = std::bit_cast<std::array<char, 8>>(value);
    f64_raw.mutable_raw_data()->append(bytes.data(), bytes.size());
  }
  const ModelGraph graph(save(model));
  for (const std::string name : {"f32", "f64", "f16", "f32 raw", "f64 raw", "f16 raw"}) {
    EXPECT_EQ(read(graph, name, 0, 4), values) << name;
    EXPECT_EQ(read(graph, name, 1, 2), (std::vector<float>{-0.25F, 65504})) << name;
  }
  for (const std::string name : {"bf16", "bf16 raw"}) {
    EXPECT_EQ(read(graph, name, 0, 4), (std::vector<float>{1.5F, -0.25F, 65536, 0})) << name;
  }
  EXPECT_EQ(graph.constant("f16")->stored, DType::f16);
  EXPECT_EQ(graph.constant("f16")->size_bytes, 8U);
}

TEST_F(ModelGraphDataTest, SlicesHoldTypedValuesOfEveryType) {
  HandMadeModel model = with_output();
  Proto& i64 = typed(model, "i64", Proto::INT64, 2);
  Proto& u64 = typed(model, "u64", Proto::UINT64, 2);
  Proto& u32 = typed(model, "u32", Proto::UINT32, 2);
  for (const unsigned value : {7U, 9U}) {
    i64.add_int64_data(value);
    u64.add_uint64_data(value);
    u32.add_uint64_data(value);
  }
  Names names{"i64", "u64", "u32"};
  for (const auto& [name, type] : {std::pair{"i32", Proto::INT32},
                                   {"i16", Proto::INT16},
                                   {"u16", Proto::UINT16},
                                   {"i8", Proto::INT8},
                                   {"u8", Proto::UINT8},
                                   {"f16", Proto::FLOAT16}}) {
    Proto& tensor = typed(model, name, type, 2);
    for (const int value : {7, 9})
      tensor.add_int32_data(type == Proto::FLOAT16 ? to_half(static_cast<float>(value)).bits : value);
    names.emplace_back(name);
  }
  Names outputs;
  ModelSlice slice;
  for (const std::string& name : names) {
    slice.nodes.push_back(static_cast<std::size_t>(model.graph().node_size()));
    onnx::NodeProto& cast = model.node("Cast", {name}, {name + " as f32"});
    test::set(cast, "to", Proto::FLOAT);
    slice.outputs.push_back(name + " as f32");
  }
  const ModelGraph graph(save(model));
  for (const auto& [name, tensor] : test::run_model(graph.slice(slice), graph.path(), {}))
    EXPECT_EQ(test::values_of(tensor), (std::vector<float>{7, 9})) << name;
}

TEST_F(ModelGraphDataTest, ReadingKnowsItsBounds) {
  HandMadeModel model = with_output();
  model.floats("w", {4}, {1, 2, 3, 4});
  model.integers("n", {2}, {1, 2});
  typed(model, "short", Proto::FLOAT, 3).add_float_data(1);
  Proto& odd = typed(model, "odd", Proto::FLOAT16, 2);
  odd.set_raw_data("abc");
  const ModelGraph graph(save(model));
  EXPECT_EQ(read(graph, "w", 4, 0), std::vector<float>());
  EXPECT_THROW((void)read(graph, "w", 0, 5), UsageError);
  EXPECT_THROW((void)read(graph, "w", 3, 2), UsageError);
  EXPECT_THROW((void)read(graph, "w", 5, 0), UsageError);
  const auto error = [&](const std::string& name) {
    return input_error([&] { (void)read(graph, name, 0, 1); });
  };
  EXPECT_TRUE(contains(error("n"), "n is I64; floating-point numbers are expected")) << error("n");
  EXPECT_TRUE(contains(error("none"), "no constant none"));
  EXPECT_TRUE(contains(error("short"), "the constant short F32 [3] has 4 bytes")) << error("short");
  EXPECT_TRUE(contains(error("odd"), "the constant odd has 3 bytes; 4 are expected")) << error("odd");
}

TEST_F(ModelGraphDataTest, ReadsExternalData) {
  // More than what is read at once.
  std::vector<float> values(700'001);
  std::iota(values.begin(), values.end(), -350'000.0F);
  for (float& value : values) value *= 0.125F;
  HandMadeModel model = with_output();
  test::make_external(model.integers("n", {1}, {5}), path("data.bin"), "data.bin");
  test::make_external(model.floats("w", {700'001}, values), path("data.bin"), "data.bin");
  test::make_external(model.halves("h", {7, 100'000}, {values.begin(), values.end() - 1}), path("data.bin"),
                      "data.bin");
  fs::create_directory(path("more"));
  test::make_external(model.floats("v", {2}, {1, 2}), path("more/data.bin"), "more/data.bin");
  const ModelGraph graph(save(model));
  EXPECT_EQ(graph.files(), (std::vector{path("model.onnx"), path("data.bin"), path("more/data.bin")}));
  EXPECT_TRUE(graph.constant("w")->external);
  EXPECT_EQ(read(graph, "w", 0, values.size()), values);
  EXPECT_EQ(read(graph, "w", 699'999, 2), std::vector<float>(values.end() - 2, values.end()));
  EXPECT_EQ(read(graph, "v", 0, 2), (std::vector<float>{1, 2}));
  const std::vector<float> halves = test::rounded_to_half(values);
  EXPECT_EQ(read(graph, "h", 3, 600'000), std::vector<float>(halves.begin() + 3, halves.begin() + 600'003));

  // Slices refer to the file, or hold what had to be widened.
  const std::string bytes = graph.slice({{}, {}, {"w", "v", "h"}, {}});
  EXPECT_FALSE(contains(bytes, std::string(reinterpret_cast<const char*>(values.data()), 64)));
  const test::Tensors outputs = test::run_model(bytes, graph.path(), {});
  EXPECT_EQ(test::values_of(outputs.at("w")), values);
  EXPECT_EQ(test::values_of(outputs.at("v")), (std::vector<float>{1, 2}));
  EXPECT_EQ(test::values_of(outputs.at("h")), std::vector<float>(halves.begin(), halves.end() - 1));
}

TEST_F(ModelGraphDataTest, ExternalDataMayLeaveOutOffsetAndLength) {
  HandMadeModel model = with_output();
  Proto& w = model.floats("w", {2}, {3, 4});
  test::make_external(w, path("data.bin"), "data.bin");
  w.mutable_external_data()->DeleteSubrange(1, 2);
  EXPECT_EQ(read(ModelGraph(save(model)), "w", 0, 2), (std::vector<float>{3, 4}));
}

TEST_F(ModelGraphDataTest, FilesOfUnknownTypesAreNamedToo) {
  HandMadeModel model = with_output();
  Proto& packed = model.bytes("packed", {2}, {0x21, 0x43});
  packed.set_data_type(22);  // INT4, two in a byte
  packed.set_dims(0, 4);
  test::make_external(packed, path("packed.bin"), "packed.bin");
  EXPECT_EQ(ModelGraph(save(model)).files(), (std::vector{path("model.onnx"), path("packed.bin")}));
  fs::remove(path("packed.bin"));
  EXPECT_TRUE(contains(error_of(model), "packed.bin"));
}

// The message for an external tensor w (f32, 2 elements, 8 bytes at 4 of 12) that was changed.
std::string error_of_changed(const ModelGraphDataTest&, const fs::path& folder,
                             const std::function<void(Proto& w)>& change) {
  HandMadeModel model = with_output();
  Proto& w = model.floats("w", {2}, {3, 4});
  test::write_file(folder / "data.bin", "0123");
  test::make_external(w, folder / "data.bin", "data.bin");
  change(w);
  model.save(folder / "model.onnx");
  return input_error([&] { ModelGraph graph(folder / "model.onnx"); });
}

TEST_F(ModelGraphDataTest, ChecksPlacesInExternalData) {
  const auto error = [&](int entry, const std::string& value) {
    return error_of_changed(*this, folder_.path(),
                            [&](Proto& w) { w.mutable_external_data(entry)->set_value(value); });
  };
  EXPECT_EQ(error(1, "4"), "");
  const std::string beyond = error(1, "8");
  EXPECT_TRUE(contains(beyond, "w F32 [2] should have 8 bytes at 8 of data.bin, which has 12 and gives it 8"))
      << beyond;
  EXPECT_TRUE(contains(error(1, "18446744073709551615"), "at 18446744073709551615 of data.bin"));
  EXPECT_TRUE(contains(error(1, "-4"), "the external data of w lies at \"-4\", which is no number"));
  EXPECT_TRUE(contains(error(1, "4x"), "which is no number"));
  EXPECT_TRUE(contains(error(1, ""), "which is no number"));
  EXPECT_TRUE(contains(error(1, "99999999999999999999"), "which is no number"));
  EXPECT_TRUE(contains(error(2, "7"), "which has 12 and gives it 7"));
  EXPECT_TRUE(contains(error(2, "12"), "which has 12 and gives it 12"));
  EXPECT_TRUE(contains(error(0, "missing.bin"), "missing.bin"));
}

TEST_F(ModelGraphDataTest, ExternalDataStaysInTheFolder) {
  test::write_file(folder_.path() / "outside.bin", std::string(12, '\0'));
  const fs::path inside = folder_.path() / "models";
  fs::create_directory(inside);
  for (const std::string& location : {std::string("../outside.bin"), std::string("sub/../../outside.bin"),
                                      (folder_.path() / "outside.bin").string(), std::string()}) {
    const std::string error =
        error_of_changed(*this, inside, [&](Proto& w) { w.mutable_external_data(0)->set_value(location); });
    EXPECT_TRUE(contains(
        error, "the data of w lies in \"" + location + "\"; a file in the model's folder is expected"))
        << error;
  }
}

}  // namespace
}  // namespace qvl
