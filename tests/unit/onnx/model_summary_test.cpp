#include "onnx/read/model_summary.h"

#include <gtest/gtest.h>

#include "onnx/read/wire.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

// The figures are Python onnx 1.23.2's: onnx.load(FILE), len(graph.node) by op_type, elements of floating
// initializers.
TEST(ModelSummary, OfAFileExportedByPyTorch) {
  const ModelSummary summary = summarize_model(test::data("foreign-onnx/resnet.onnx"));
  EXPECT_EQ(summary.opset, 17);
  ASSERT_EQ(summary.inputs.size(), 1U);
  EXPECT_EQ(summary.inputs[0].dtype, "F32");
  EXPECT_EQ(summary.ops, (std::map<std::string, std::int64_t>{{"Conv", 11},
                                                              {"Relu", 9},
                                                              {"Identity", 8},
                                                              {"Add", 4},
                                                              {"MaxPool", 1},
                                                              {"GlobalAveragePool", 1},
                                                              {"Flatten", 1}}));
  EXPECT_EQ(summary.parameters, 75920);
  EXPECT_EQ(summary.size_bytes, 303680U);
}

TEST(ModelSummary, StrippingDropsValuesOnly) {
  const std::string bytes = test::read_file(test::data("foreign-onnx/bert.onnx"));
  const std::string stripped = strip_tensor_values(std::as_bytes(std::span(bytes)), "bert.onnx");
  EXPECT_LT(stripped.size(), bytes.size() / 10);
  const ModelSummary whole = summarize_model(std::as_bytes(std::span(bytes)), "bert.onnx");
  const ModelSummary part = summarize_model(std::as_bytes(std::span(stripped)), "bert.onnx");
  EXPECT_EQ(whole.ops, part.ops);
  EXPECT_EQ(whole.parameters, part.parameters);
  EXPECT_EQ(whole.size_bytes, part.size_bytes);
}

TEST(ModelSummary, RefusesWhatIsNoModel) {
  const std::string bytes = test::read_file(test::data("foreign-onnx/resnet.onnx"));
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100}, bytes.size() - 1}) {
    EXPECT_THROW((void)summarize_model(std::as_bytes(std::span(bytes).first(size)), "x"), InputError) << size;
  }
  const std::string zeros(100000, '\0');
  EXPECT_THROW((void)summarize_model(std::as_bytes(std::span(zeros)), "x"), InputError);
  const auto why = [](std::string_view broken) -> std::string {
    try {
      (void)summarize_model(std::as_bytes(std::span(broken)), "x");
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  };
  const std::string most(10, '\xff');
  EXPECT_EQ(why("\x80"), "x is not an ONNX model: it ends in the middle of a number");
  EXPECT_EQ(why(most.substr(1)), "x is not an ONNX model: it ends in the middle of a number");
  EXPECT_EQ(why(most), "x is not an ONNX model: a number is too long");
  EXPECT_EQ(why("\x3a\x05:"), "x is not an ONNX model: a field is longer than the file");
  EXPECT_EQ(why("\x3d\x01\x02"), "x is not an ONNX model: it ends in the middle of a field");
  EXPECT_EQ(why("\x3b"), "x is not an ONNX model: an unknown wire type");
  EXPECT_EQ(why(std::string_view("\0\0", 2)), "x is not an ONNX model: a field has the number 0");
  const std::string text = "hello, this is a text file";
  EXPECT_THROW((void)summarize_model(std::as_bytes(std::span(text)), "x"), InputError);
}

}  // namespace
}  // namespace qvl
