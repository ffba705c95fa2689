#include "planner/kernel_times.h"

#include <gtest/gtest.h>

#include "onnx/rewrite/kernel_model.h"
#include "qvl/error.h"
#include "runtime/session.h"
#include "support/test_data.h"

namespace qvl {
namespace {

StoredWeight weight_of(const std::string& op, std::int64_t matrices) {
  return {op, {matrices, 24, 64, DepthAxis::strided}};
}

TEST(KernelTimes, EveryFormatOfEveryOpRuns) {
  const test::TemporaryFolder folder;
  MeasurementStore store(folder.path() / "m.sqlite", "0", "model");
  KernelTimes times(store, 16, 1, nullptr);
  for (const StoredWeight& weight : {weight_of("MatMul", 1), weight_of("MatMul", 3), weight_of("Conv", 1)}) {
    EXPECT_GT(times.of(weight, {}), 0);
    for (const char* format : {"int8", "int4:32", "int4:512", "int8-dynamic", "int8-static"})
      EXPECT_GT(times.of(weight, parse_format(format)), 0) << weight.op << " " << format;
  }
}

TEST(KernelTimes, AreMeasuredOnce) {
  const test::TemporaryFolder folder;
  MeasurementStore store(folder.path() / "m.sqlite", "0", "model");
  const double first = KernelTimes(store, 16, 1, nullptr).of(weight_of("Gemm", 1), parse_format("int8"));
  const std::int64_t size = store.size();
  // A Gemm is the same product as a MatMul.
  EXPECT_EQ(KernelTimes(store, 16, 1, nullptr).of(weight_of("MatMul", 1), parse_format("int8")), first);
  EXPECT_EQ(store.size(), size);
  (void)KernelTimes(store, 17, 1, nullptr).of(weight_of("MatMul", 1), parse_format("int8"));
  EXPECT_EQ(store.size(), size + 1);
}

TEST(KernelModel, GivesARowForEachRow) {
  KernelSpec spec;
  spec.depth = 70;
  spec.rows = 12;
  spec.activations = 5;
  using Activations = QuantizedNode::Activations;
  for (const bool conv : {false, true}) {
    spec.conv = conv;
    for (const Activations activations : {Activations::kept, Activations::dynamic, Activations::fixed}) {
      spec.quantized.emplace();
      spec.quantized->activations = activations;
      const Session session = Session::from_bytes(kernel_model(spec), "kernel.onnx", {});
      const Tensor input(DType::f32, conv ? Shape{1, 70, 1, 5} : Shape{1, 5, 70});
      const auto outputs = session.run({{"x", input.view()}});
      EXPECT_EQ(outputs.front().shape(), (conv ? Shape{1, 12, 1, 5} : Shape{1, 5, 12}));
    }
  }
  spec.quantized.reset();
  spec.conv = false;
  spec.rows = std::int64_t{1} << 40U;
  EXPECT_THROW((void)kernel_model(spec), UsageError);
}

}  // namespace
}  // namespace qvl
