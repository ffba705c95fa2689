#include "runtime/session.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "core/half.h"
#include "core/json_text.h"
#include "qvl/error.h"
#include "runtime/library.h"
#include "support/test_data.h"

namespace qvl {
namespace {

std::filesystem::path model(const std::string& name) { return test::data("foreign-onnx") / name; }

// The made-up inputs of tests/data/foreign-onnx/foreign_outputs.py.
Tensor ramp(const Shape& shape) {
  Tensor tensor(DType::f32, shape);
  std::int64_t i = 0;
  for (float& value : tensor.as<float>()) value = static_cast<float>(i++ * 37 % 101 - 50) / 64.0F;
  return tensor;
}

Tensor ids(const Shape& shape) {
  Tensor tensor(DType::i64, shape);
  std::int64_t i = 0;
  for (std::int64_t& value : tensor.as<std::int64_t>()) value = i++ * 29 % 300;
  return tensor;
}

Tensor ones(const Shape& shape) {
  Tensor tensor(DType::i64, shape);
  for (std::int64_t& value : tensor.as<std::int64_t>()) value = 1;
  return tensor;
}

void expect_like_reference(const OutputTensor& output, const std::string& name) {
  const Json golden = read_json_file(model("foreign-outputs.json")).at(name);
  EXPECT_EQ(output.dtype(), DType::f32);
  EXPECT_EQ(output.shape(), golden.at("shape").get<Shape>());
  const auto values = output.as<float>();
  for (const float value : values) ASSERT_TRUE(std::isfinite(value));
  for (std::size_t i = 0; i < golden.at("at").size(); ++i) {
    EXPECT_NEAR(values[golden["at"][i].get<std::size_t>()], golden["values"][i].get<float>(), 1e-4F);
  }
}

TEST(Session, RunsForeignTextModels) {
  const Tensor tokens = ids({2, 7});
  const Tensor mask = ones({2, 7});
  for (const std::string name : {"text", "bert"}) {
    const Session session(model(name + ".onnx"));
    const auto outputs = session.run({{"attention_mask", mask.view()}, {"input_ids", tokens.view()}});
    ASSERT_EQ(outputs.size(), 1U);
    expect_like_reference(outputs[0], name);
  }
}

TEST(Session, RunsForeignVisionModels) {
  const Tensor small = ramp({2, 3, 64, 64});
  expect_like_reference(Session(model("resnet.onnx")).run({{"pixel_values", small.view()}}, {"features"})[0],
                        "resnet");
  const Tensor pixels = ramp({1, 3, 672, 672});
  expect_like_reference(Session(model("vision_672.onnx")).run({{"pixel_values", pixels.view()}})[0],
                        "vision_672");
}

TEST(Session, EveryOptionGivesTheSameResult) {
  SessionOptions plain;
  plain.threads = 1;
  plain.memory_arena = false;
  plain.memory_pattern = false;
  plain.deterministic = true;
  plain.optimization = GraphOptimization::none;
  plain.config = {{"session.disable_prepacking", "1"}};
  const Tensor pixels = ramp({2, 3, 64, 64});
  expect_like_reference(Session(model("resnet.onnx"), plain).run({{"pixel_values", pixels.view()}})[0],
                        "resnet");
  plain.optimization = GraphOptimization::basic;
  expect_like_reference(Session(model("resnet.onnx"), plain).run({{"pixel_values", pixels.view()}})[0],
                        "resnet");
}

TEST(Session, DescribesInputsAndOutputs) {
  const Session text(model("text.onnx"));
  ASSERT_EQ(text.inputs().size(), 2U);
  EXPECT_EQ(text.inputs()[0].name, "input_ids");
  EXPECT_EQ(to_string(text.inputs()[0]), "I64 [b, s]");
  EXPECT_EQ(to_string(text.inputs()[1]), "I64 [b, s]");
  ASSERT_EQ(text.outputs().size(), 1U);
  EXPECT_EQ(text.outputs()[0].name, "logits");
  EXPECT_EQ(to_string(text.outputs()[0]), "F32 [b, s, 800]");
  const Session scalar(model("made/scalar.onnx"));
  EXPECT_EQ(to_string(scalar.inputs()[0]), "F32 [?]");
  EXPECT_EQ(to_string(scalar.inputs()[1]), "F32 []");
}

TEST(Session, CarriesEveryElementType) {
  const Session session(model("made/every-type.onnx"));
  std::vector<Tensor> tensors;
  std::vector<NamedTensor> inputs;
  std::vector<std::string> names;
  for (int i = 0; i <= static_cast<int>(DType::boolean); ++i) {
    const DType dtype = static_cast<DType>(i);
    Tensor& tensor = tensors.emplace_back(dtype, Shape{2, 3});
    unsigned char next = 0;
    for (std::byte& byte : tensor.bytes())
      byte = static_cast<std::byte>(dtype == DType::boolean ? next++ % 2 : next++);
    names.push_back("out_" + std::string(name(dtype)));
  }
  for (const Tensor& tensor : tensors)
    inputs.push_back({"in_" + std::string(name(tensor.dtype())), tensor.view()});
  const auto outputs = session.run(inputs, names);
  ASSERT_EQ(outputs.size(), tensors.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_EQ(outputs[i].dtype(), tensors[i].dtype());
    EXPECT_EQ(outputs[i].shape(), tensors[i].shape());
    EXPECT_TRUE(std::ranges::equal(outputs[i].bytes(), tensors[i].bytes())) << names[i];
    EXPECT_TRUE(std::ranges::equal(outputs[i].copy().bytes(), tensors[i].bytes())) << names[i];
  }
  EXPECT_THROW((void)outputs[0].as<float>(), UsageError);
  EXPECT_EQ(outputs[0].as<double>().size(), 6U);
}

TEST(Session, TakesUnalignedScalarAndEmptyInputs) {
  const Session session(model("made/scalar.onnx"));
  const Tensor scale = Tensor::of<float>(DType::f32, {}, std::vector<float>{2.0F});
  std::vector<std::byte> storage(1 + 3 * sizeof(float));
  const float values[3] = {1, 2, 3};
  std::memcpy(storage.data() + 1, values, sizeof values);
  const TensorView unaligned{DType::f32, {3}, std::span(storage).subspan(1)};
  const auto doubled = session.run({{"x", unaligned}, {"scale", scale.view()}});
  EXPECT_EQ(doubled[0].as<float>()[2], 6.0F);
  const auto nothing = session.run({{"x", {DType::f32, {0}, {}}}, {"scale", scale.view()}});
  EXPECT_EQ(nothing[0].shape(), Shape{0});
  EXPECT_TRUE(nothing[0].bytes().empty());
}

TEST(Session, OutputsOutliveTheSessionAndTheInputs) {
  std::vector<OutputTensor> outputs;
  std::vector<OutputTensor> unaligned_outputs;
  {
    const Session session(model("made/handed-through.onnx"));
    std::vector<std::byte> storage(4 + 2 * sizeof(float));
    const float values[2] = {1, 2};
    std::memcpy(storage.data() + 4, values, sizeof values);
    outputs = session.run({{"x", {DType::f32, {2}, std::span(storage).subspan(4)}}}, {"c", "y", "x"});
    std::memmove(storage.data() + 1, storage.data() + 4, sizeof values);
    unaligned_outputs = session.run({{"x", {DType::f32, {2}, std::span(storage).subspan(1, 8)}}}, {"x"});
    std::ranges::fill(storage, std::byte{0xff});
  }
  EXPECT_EQ(outputs[0].as<float>()[1], 8.0F);
  EXPECT_EQ(outputs[1].as<float>()[1], -2.0F);
  EXPECT_EQ(outputs[2].as<float>()[1], 2.0F);
  EXPECT_EQ(unaligned_outputs[0].as<float>()[1], 2.0F);
}

// In the run only, whoever makes the session and whoever runs it.
TEST(Session, TakesDenormalsForZeroWhereAsked) {
  const Tensor least =
      Tensor::of<float>(DType::f32, {1}, std::vector<float>{std::numeric_limits<float>::min()});
  const Tensor half = Tensor::of<float>(DType::f32, {}, std::vector<float>{0.5F});
  SessionOptions options;
  options.denormals_as_zero = true;
  const auto product = [&](const SessionOptions& with) {
    return Session(model("made/scalar.onnx"), with)
        .run({{"x", least.view()}, {"scale", half.view()}})[0]
        .as<float>()[0];
  };
#if defined(__x86_64__) || defined(__aarch64__)
  EXPECT_EQ(product(options), 0.0F);
#endif
  EXPECT_GT(product({}), 0.0F);
  volatile float here = std::numeric_limits<float>::min();
  here = here * 0.5F;
  EXPECT_GT(here, 0.0F);
}

TEST(Session, WritesIntoBuffersOfTheCaller) {
  const Session session(model("made/scalar.onnx"));
  const Tensor x = Tensor::of<float>(DType::f32, {3}, std::vector<float>{1, 2, 3});
  const Tensor scale = Tensor::of<float>(DType::f32, {}, std::vector<float>{-1.0F});
  Tensor y(DType::f32, {3});
  session.run_into({{"x", x.view()}, {"scale", scale.view()}}, {{"y", y.dtype(), y.shape(), y.bytes()}});
  EXPECT_EQ(y.as<float>()[2], -3.0F);
}

TEST(Session, ExtendsACacheInPlace) {
  const Session session(model("made/cache.onnx"));
  Tensor cache(DType::f16, {4});
  for (std::int64_t step = 0; step < 3; ++step) {
    const Tensor position = Tensor::of<std::int64_t>(DType::i64, {1}, std::vector<std::int64_t>{step});
    const Tensor value =
        Tensor::of<Half>(DType::f16, {1}, std::vector<Half>{to_half(static_cast<float>(step + 1))});
    session.run_into({{"past", cache.view()}, {"position", position.view()}, {"value", value.view()}},
                     {{"present", cache.dtype(), cache.shape(), cache.bytes()}});
  }
  const std::vector<Half> expected{to_half(1), to_half(2), to_half(3), to_half(0)};
  EXPECT_TRUE(std::ranges::equal(cache.as<Half>(), expected));
}

TEST(Session, MovesAndReadsExternalData) {
  const test::TemporaryFolder folder;
  std::filesystem::copy_file(model("made/external.onnx"), folder.path() / "external.onnx");
  const float weights[4] = {1, 2, 3, 4};
  test::write_file(folder.path() / "external.data", {reinterpret_cast<const char*>(weights), sizeof weights});
  Session first(folder.path() / "external.onnx");
  const Session session = std::move(first);
  const Tensor x(DType::f32, {4});
  EXPECT_EQ(session.run({{"x", x.view()}})[0].as<float>()[3], 4.0F);
  EXPECT_EQ(session.path(), folder.path() / "external.onnx");
}

// The bytes may come from anywhere; the external data is that of the folder.
TEST(Session, LoadsBytesWithExternalData) {
  const test::TemporaryFolder folder;
  const float weights[4] = {1, 2, 3, 4};
  test::write_file(folder.path() / "external.data", {reinterpret_cast<const char*>(weights), sizeof weights});
  std::string bytes = test::read_file(model("made/external.onnx"));
  const Session session = Session::from_bytes(bytes, folder.path() / "model.onnx");
  bytes.assign(bytes.size(), 'x');
  const Tensor x(DType::f32, {4});
  EXPECT_EQ(session.run({{"x", x.view()}})[0].as<float>()[3], 4.0F);
  EXPECT_EQ(session.path(), folder.path() / "model.onnx");
  EXPECT_THROW((void)Session::from_bytes(bytes, folder.path() / "model.onnx"), InputError);
  EXPECT_THROW((void)Session::from_bytes("", folder.path() / "model.onnx"), InputError);
  // Where the data is not, the model cannot be loaded.
  EXPECT_THROW((void)Session::from_bytes(test::read_file(model("made/external.onnx")), "/none/model.onnx"),
               InputError);
}

}  // namespace
}  // namespace qvl
