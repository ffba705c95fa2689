#include "planner/stored_size.h"

#include <gtest/gtest.h>

#include "checkpoint/safetensors_writer.h"
#include "onnx/model_summary.h"
#include "qvl/quantize.h"
#include "sensitivity/unit.h"
#include "support/one_op_model.h"
#include "support/test_data.h"

namespace qvl {
namespace {

StoredWeight matrix(std::int64_t depth, std::int64_t rows, DType stored, std::int64_t matrices = 1) {
  const WeightLayout layout{matrices, rows, depth, DepthAxis::strided};
  return {"MatMul", layout, stored, layout.elements() * (stored == DType::f16 ? 2 : 4)};
}

TEST(StoredSize, KeptIsWhatTheModelStores) {
  EXPECT_EQ(stored_bytes(matrix(64, 10, DType::f16), {}), 1280U);
  EXPECT_EQ(stored_bytes(matrix(64, 10, DType::f32), {}), 2560U);
}

TEST(StoredSize, BlocksAreStoredWholeWithAScaleOfTheModelsWidth) {
  // 70 weights are three blocks of 32: 16 bytes and a scale each.
  EXPECT_EQ(stored_bytes(matrix(70, 10, DType::f16), parse_format("int4:32")), 10U * 3 * (16 + 2));
  EXPECT_EQ(stored_bytes(matrix(70, 10, DType::f32), parse_format("int4:32")), 10U * 3 * (16 + 4));
  EXPECT_EQ(stored_bytes(matrix(128, 10, DType::f32), parse_format("int8:64")), 10U * 2 * (64 + 4));
  // Bytes are not filled up: they are no blocks of MatMulNBits.
  EXPECT_EQ(stored_bytes(matrix(70, 10, DType::f16), parse_format("int8:32")), 10U * (70 + 3 * 2));
}

TEST(StoredSize, LongBlocksRepeatTheirScales) {
  // In the file a block has 256 weights at most, here as long as fills up the least. int8 has its one scale.
  EXPECT_EQ(stored_bytes(matrix(600, 10, DType::f16), parse_format("int8")), 10U * (600 + 4));
  EXPECT_EQ(stored_bytes(matrix(600, 10, DType::f16), parse_format("int4:1024")), 10U * 5 * (64 + 2));
}

TEST(StoredSize, RoundedActivationsTakeAByteAWeightAndAScaleAChannel) {
  EXPECT_EQ(stored_bytes(matrix(70, 10, DType::f16), parse_format("int8-dynamic")), 700U + 40);
  EXPECT_EQ(stored_bytes(matrix(70, 10, DType::f32, 3), parse_format("int8-static")), 3U * 10 * (70 + 4));
}

TEST(StoredSize, IsWhatQuantizeWrites) {
  for (test::OneOpModel& one : test::one_op_models(17)) {
    const test::TemporaryFolder folder;
    one.model.save(folder.path() / "model.onnx");
    std::vector<NamedTensor> named{{"x", one.inputs.at("x").view()}};
    std::filesystem::create_directories(folder.path() / "data");
    write_safetensors(folder.path() / "data" / "sample.safetensors", named);
    const ModelGraph graph(folder.path() / "model.onnx");
    const Unit unit = find_units(graph).front();
    const StoredWeight weight{unit.op, unit.layout, DType::f32, 4 * unit.layout.elements()};
    for (const char* format : {"int8", "int8:64", "int4:16", "int4:1024", "int8-dynamic", "int8-static"}) {
      QuantizeOptions options;
      options.model = folder.path() / "model.onnx";
      options.data = folder.path() / "data";
      options.format = format;
      options.out = folder.path() / format;
      (void)quantize_model(options);
      std::uint64_t bytes = 0;
      for (const auto& initializer : summarize_model(options.out / "model.onnx").initializers)
        bytes += initializer.data_file.empty() ? 0 : initializer.size_bytes;
      EXPECT_EQ(stored_bytes(weight, parse_format(format)), bytes) << one.name << " " << format;
    }
  }
}

}  // namespace
}  // namespace qvl
