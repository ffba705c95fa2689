// Weights that several nodes take, as they are and behind nodes that move them: quantized files give what a
// model with a weight of its own for each node gives, and store the same numbers once.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "checkpoint/safetensors_writer.h"
#include "onnx/read/model_summary.h"
#include "planner/stored_size.h"
#include "qvl/error.h"
#include "qvl/quantize.h"
#include "support/hand_made_model.h"
#include "support/test_data.h"
#include "unit/sensitivity/plain_measurement.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::HandMadeModel;
using test::PlainMeasurement;
using test::Tensors;

constexpr std::int64_t kSharedDepth = 48;
constexpr std::int64_t kSharedRows = 32;
constexpr double kSharingBar = 2e-6;

// One node and the weight as it takes it.
struct Taken {
  std::string op;
  std::string operand;
  Shape shape;
  std::vector<float> values;
  bool turned = false;  // Gemm's transB
};

struct SharingCase {
  std::string name;
  std::function<std::vector<Taken>(HandMadeModel&, const fs::path& folder)> build;
  std::size_t blocks = 1;   // sets of integers in a file of 4 bits
  std::size_t columns = 1;  // and of 8 bits
};

std::vector<float> transposed(const std::vector<float>& values, std::int64_t rows, std::int64_t columns) {
  std::vector<float> result;
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t r = 0; r < rows; ++r)
      result.push_back(values[static_cast<std::size_t>(r * columns + c)]);
  }
  return result;
}

std::vector<float> matrix() {
  return test::noise(static_cast<std::size_t>(kSharedDepth * kSharedRows), 5, 0.2F);
}
Shape matrix_shape() { return {kSharedDepth, kSharedRows}; }
Taken matmul(const std::string& operand) { return {"MatMul", operand, matrix_shape(), matrix()}; }
Taken gemm_turned(const std::string& operand) { return {"Gemm", operand, matrix_shape(), matrix(), true}; }
Taken matmul_turned(const std::string& operand) {
  return {"MatMul", operand, {kSharedRows, kSharedDepth}, transposed(matrix(), kSharedDepth, kSharedRows)};
}

// Gives the outputs of all nodes side by side.
void take_all(HandMadeModel& model, const std::vector<Taken>& taken, Tensors* inputs) {
  std::vector<std::string> flat;
  model.integers("all", {1}, {-1});
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const Taken& t = taken[i];
    const std::string number = std::to_string(i);
    const bool conv = t.op == "Conv";
    const std::int64_t depth = conv || t.turned ? t.shape[1] : t.shape[0];
    const Shape shape = conv ? Shape{1, depth, 2, 2} : Shape{4, depth};
    model.input("x" + number, shape);
    if (inputs != nullptr)
      (*inputs)["x" + number] = test::floats_of(
          shape, test::noise(static_cast<std::size_t>(4 * depth), 90 + static_cast<unsigned>(i)));
    onnx::NodeProto& node = model.node(t.op, {"x" + number, t.operand}, {"out" + number}, "unit" + number);
    if (t.turned) test::set(node, "transB", 1);
    model.node("Reshape", {"out" + number, "all"}, {"flat" + number});
    flat.push_back("flat" + number);
  }
  test::set(model.node("Concat", flat, {"y"}), "axis", 0);
  model.output("y");
}

std::vector<SharingCase> sharing_cases() {
  std::vector<SharingCase> cases;
  cases.push_back({"MatMul and Gemm with transB",
                   [](HandMadeModel& m, const fs::path&) {
                     m.floats("w", matrix_shape(), matrix());
                     return std::vector{matmul("w"), gemm_turned("w")};
                   },
                   2, 2});
  cases.push_back({"two Gemms",
                   [](HandMadeModel& m, const fs::path&) {
                     m.floats("w", matrix_shape(), matrix());
                     return std::vector{gemm_turned("w"), Taken{"Gemm", "w", matrix_shape(), matrix()},
                                        gemm_turned("w")};
                   },
                   2, 2});
  cases.push_back({"Gemm with transB and MatMul behind Transpose", [](HandMadeModel& m, const fs::path&) {
                     m.floats("w", matrix_shape(), matrix());
                     m.node("Transpose", {"w"}, {"w_turned"});
                     return std::vector{gemm_turned("w"), matmul_turned("w_turned")};
                   }});
  cases.push_back({"Identity after Identity", [](HandMadeModel& m, const fs::path&) {
                     m.floats("w", matrix_shape(), matrix());
                     m.node("Identity", {"w"}, {"w1"});
                     m.node("Identity", {"w1"}, {"w2"});
                     m.node("Identity", {"w"}, {"w3"});
                     return std::vector{matmul("w"), matmul("w1"), matmul("w2"), matmul("w3")};
                   }});
  cases.push_back({"a Cast each",
                   [](HandMadeModel& m, const fs::path&) {
                     const std::vector<float> half = test::rounded_to_half(matrix());
                     m.halves("w", matrix_shape(), half);
                     for (const char* value : {"w1", "w2"})
                       test::set(m.node("Cast", {"w"}, {value}), "to", onnx::TensorProto::FLOAT);
                     m.node("Transpose", {"w2"}, {"w3"});
                     std::vector<Taken> taken{matmul("w1"), matmul("w2"), matmul_turned("w3")};
                     taken[0].values = taken[1].values = half;
                     taken[2].values = transposed(half, kSharedDepth, kSharedRows);
                     return taken;
                   },
                   2, 2});
  cases.push_back({"Constant nodes", [](HandMadeModel& m, const fs::path&) {
                     for (const char* value : {"w1", "w2"})
                       test::set(m.node("Constant", {}, {value}), "value",
                                 test::float_tensor("", matrix_shape(), matrix()));
                     return std::vector{matmul("w1"), matmul("w2"), matmul("w1")};
                   }});
  cases.push_back({"initializers of the same bytes", [](HandMadeModel& m, const fs::path&) {
                     m.floats("w1", matrix_shape(), matrix());
                     m.floats("w2", {kSharedDepth * 2, kSharedRows / 2}, matrix());
                     m.floats("other", matrix_shape(), test::noise(kSharedDepth * kSharedRows, 6, 0.2F));
                     m.integers("shape", {2}, {kSharedDepth, kSharedRows});
                     m.node("Reshape", {"w2", "shape"}, {"w3"});
                     return std::vector{matmul("w1"), matmul("w3")};
                   }});
  cases.push_back({"initializers at one place of a file", [](HandMadeModel& m, const fs::path& folder) {
                     test::make_external(m.floats("w1", matrix_shape(), matrix()), folder / "w.bin", "w.bin");
                     onnx::TensorProto again = m.graph().initializer(m.graph().initializer_size() - 1);
                     again.set_name("w2");
                     *m.graph().add_initializer() = again;
                     return std::vector{matmul("w1"), matmul("w2")};
                   }});
  // The bytes of a Conv lie in rows, those of a MatMul in columns; blocks of 4 bits in rows always.
  cases.push_back({"Conv and MatMul behind Reshape",
                   [](HandMadeModel& m, const fs::path&) {
                     m.floats("w", {kSharedRows, kSharedDepth, 1, 1}, matrix());
                     m.integers("shape", {2}, {kSharedRows, kSharedDepth});
                     m.node("Reshape", {"w", "shape"}, {"w_flat"});
                     m.node("Transpose", {"w_flat"}, {"w_turned"});
                     return std::vector{Taken{"Conv", "w", {kSharedRows, kSharedDepth, 1, 1}, matrix()},
                                        Taken{"MatMul",
                                              "w_turned",
                                              {kSharedDepth, kSharedRows},
                                              transposed(matrix(), kSharedRows, kSharedDepth)},
                                        Taken{"Gemm", "w_flat", {kSharedRows, kSharedDepth}, matrix(), true}};
                   },
                   1, 2});
  cases.push_back({"Conv behind Transpose", [](HandMadeModel& m, const fs::path&) {
                     m.floats("w", {kSharedDepth, kSharedRows, 1, 1}, matrix());
                     test::set(m.node("Transpose", {"w"}, {"w1"}), "perm",
                               std::vector<std::int64_t>{1, 0, 2, 3});
                     m.node("Identity", {"w1"}, {"w2"});
                     const Taken taken{"Conv",
                                       "w1",
                                       {kSharedRows, kSharedDepth, 1, 1},
                                       transposed(matrix(), kSharedDepth, kSharedRows)};
                     std::vector<Taken> all{taken, taken};
                     all[1].operand = "w2";
                     return all;
                   }});
  cases.push_back({"behind DequantizeLinear", [](HandMadeModel& m, const fs::path&) {
                     std::vector<std::int8_t> codes;
                     std::vector<float> values;
                     for (std::int64_t i = 0; i < kSharedDepth * kSharedRows; ++i) {
                       codes.push_back(static_cast<std::int8_t>(i * 37 % 251 - 125));
                       values.push_back(static_cast<float>(codes.back()) * 0.01F);
                     }
                     m.bytes("codes", matrix_shape(), codes);
                     m.floats("scale", {}, {0.01F});
                     m.node("DequantizeLinear", {"codes", "scale"}, {"w"});
                     m.node("Transpose", {"w"}, {"w_turned"});
                     std::vector<Taken> taken{gemm_turned("w"), matmul_turned("w_turned")};
                     taken[0].values = values;
                     taken[1].values = transposed(values, kSharedDepth, kSharedRows);
                     return taken;
                   }});
  return cases;
}

struct Written {
  std::size_t sets = 0;  // of integers
  std::uint64_t bytes = 0;
};

Written written(const fs::path& model) {
  Written result;
  for (const auto& initializer : summarize_model(model).initializers) {
    if (initializer.data_file.empty()) continue;
    result.bytes += initializer.size_bytes;
    if (initializer.dtype == "U8" || initializer.dtype == "I8") ++result.sets;
  }
  return result;
}

TEST(Sharing, EachLayoutHasItsOwnIntegersOnceAndThePlanCountsThem) {
  for (const SharingCase& each : sharing_cases()) {
    const test::TemporaryFolder folder;
    HandMadeModel model;
    Tensors inputs;
    const std::vector<Taken> taken = each.build(model, folder.path());
    take_all(model, taken, &inputs);
    model.save(folder.path() / "model.onnx");
    fs::create_directories(folder.path() / "data");
    std::vector<NamedTensor> named;
    for (const auto& [name, tensor] : inputs) named.push_back({name, tensor.view()});
    write_safetensors(folder.path() / "data" / "sample.safetensors", named);
    // The same with a weight for each node.
    HandMadeModel apart;
    std::vector<Taken> own = taken;
    std::vector<std::string> units;
    for (std::size_t i = 0; i < own.size(); ++i) {
      own[i].operand = "own" + std::to_string(i);
      apart.floats(own[i].operand, own[i].shape, own[i].values);
      units.push_back("unit" + std::to_string(i));
    }
    take_all(apart, own, nullptr);
    PlainMeasurement plain(apart.proto(), folder.path() / "apart.onnx", units, {{inputs, {}}});
    plain.calibrate("minmax");
    const ModelPart part("model", folder.path() / "model.onnx", {});
    ASSERT_EQ(part.units.size(), taken.size()) << each.name;
    const std::vector<bool> selected(part.units.size(), true);
    for (const char* format : {"int8", "int8:32", "int4:16", "int8-dynamic", "int8-static"}) {
      SCOPED_TRACE(each.name + " " + format);
      QuantizeOptions options;
      options.model = folder.path() / "model.onnx";
      options.format = format;
      options.data = folder.path() / "data";
      options.out = folder.path() / format;
      options.threads = 1;
      EXPECT_EQ(quantize_model(options).files.front().quantized, static_cast<int>(taken.size()));
      PlainMeasurement::Assignment assignment;
      for (const std::string& unit : units) assignment[unit] = format;
      const Tensor expected = std::move(plain.outputs(assignment).front().at("y"));
      const fs::path file = options.out / "model.onnx";
      const Tensor found =
          std::move(test::run_model(test::read_file(file), file, inputs, {"y"}, true).at("y"));
      EXPECT_LE(test::difference(expected, found), kSharingBar);
      const Written in_file = written(file);
      EXPECT_EQ(in_file.sets, std::string(format).starts_with("int4") ? each.blocks : each.columns);
      std::uint64_t planned = 0;
      for (const StoredSize& size : stored_sizes(part, selected, std::vector{parse_format(format)}))
        planned += size.quantized_bytes.front();
      EXPECT_EQ(planned, in_file.bytes);
    }
  }
}

// A table that rows are gathered from, and that a MatMul and a tied Gemm take.
class SharedTable : public testing::Test {
 protected:
  void save(bool tied, bool behind_identity) {
    model_.input("ids", {3}, onnx::TensorProto::INT64);
    model_.input("x", {3, kSharedRows});
    model_.floats("table", {kSharedRows, kSharedRows}, table_);
    std::string table = "table";
    if (behind_identity) {
      model_.node("Identity", {"table"}, {"same"});
      table = "same";
    }
    model_.node("Gather", {table, "ids"}, {"rows"}, "embed");
    model_.node("MatMul", {"x", "table"}, {"product"}, "product");
    model_.node("Add", {"rows", "product"}, {"sum"});
    std::string result = "sum";
    if (tied) {
      test::set(model_.node("Gemm", {"sum", "table"}, {"logits"}, "head"), "transB", 1);
      result = "logits";
    }
    model_.output(result);
    model_.save(folder_.path() / "model.onnx");
  }
  qvl::QuantizedFile quantize(const std::string& format, const std::string& embedding) {
    QuantizeOptions options;
    options.model = folder_.path() / "model.onnx";
    options.format = format;
    options.embedding = embedding;
    options.out = folder_.path() / ("out " + format);
    options.threads = 1;
    const QuantizeResult result = quantize_model(options);
    quantized_ = options.out / "model.onnx";
    return result.files.front();
  }
  // Rows of the table rounded each by itself (as the Gemm's output channels are), columns by themselves.
  void expect_right(const std::string& format, const std::string& embedding, bool tied) {
    const Shape square{kSharedRows, kSharedRows};
    const auto rounded = [&](const std::string& op, bool turned, const std::string& to) {
      return to.empty() ? table_ : test::plainly_quantized(table_, square, op, turned, to);
    };
    HandMadeModel apart;
    apart.input("ids", {3}, onnx::TensorProto::INT64);
    apart.input("x", {3, kSharedRows});
    apart.floats("table", square, rounded("Gemm", true, embedding));
    apart.floats("w", square, rounded("MatMul", false, format));
    apart.floats("head", square, rounded("Gemm", true, format));
    apart.node("Gather", {"table", "ids"}, {"rows"});
    apart.node("MatMul", {"x", "w"}, {"product"});
    apart.node("Add", {"rows", "product"}, {"sum"});
    if (tied) test::set(apart.node("Gemm", {"sum", "head"}, {"logits"}), "transB", 1);
    const std::string result = tied ? "logits" : "sum";
    apart.output(result);
    const Tensors inputs{{"ids", test::integers_of({3}, {5, 0, 31})},
                         {"x", test::floats_of({3, kSharedRows}, test::noise(3 * kSharedRows, 8))}};
    const Tensor expected = std::move(
        test::run_model(apart.serialize(), folder_.path() / "apart.onnx", inputs, {result}, true).at(result));
    const Tensor found = std::move(
        test::run_model(test::read_file(quantized_), quantized_, inputs, {result}, true).at(result));
    EXPECT_LE(test::difference(expected, found), kSharingBar);
  }

  const test::TemporaryFolder folder_;
  HandMadeModel model_;
  const std::vector<float> table_ = test::noise(kSharedRows * kSharedRows, 7, 0.3F);
  fs::path quantized_;
};

TEST_F(SharedTable, AMatMulOnItHasIntegersOfItsOwn) {
  save(false, false);
  for (const char* format : {"int8:32", "int4:16"}) {
    SCOPED_TRACE(format);
    EXPECT_TRUE(quantize(format, "int8:32").notes.empty());
    expect_right(format, "int8:32", false);
    EXPECT_EQ(written(quantized_).sets, 2U);
  }
}

TEST_F(SharedTable, ATiedHeadInItsFormatSharesItsBytes) {
  save(true, true);
  for (const std::string& note : quantize("int8:32", "int8:32").notes)
    EXPECT_EQ(note.find("as it is, too"), std::string::npos) << note;
  expect_right("int8:32", "int8:32", true);
  // The MatMul's, and one for head and table, listed in two shapes.
  EXPECT_EQ(fs::file_size(quantized_.string() + "_data"), 2U * (kSharedRows * kSharedRows + kSharedRows * 4));
}

TEST_F(SharedTable, TheEmbeddingAloneSaysThatTheFileGrows) {
  save(true, false);
  const qvl::QuantizedFile file = quantize("", "int8:32");
  EXPECT_EQ(file.quantized, 0);
  ASSERT_FALSE(file.notes.empty());
  EXPECT_NE(file.notes.front().find("table is in the file as it is, too"), std::string::npos);
  expect_right("", "int8:32", true);
}

TEST(Tables, ThoseWhoseRowsNoBlockDividesAreKeptAndThatIsSaid) {
  const test::TemporaryFolder folder;
  HandMadeModel model;
  model.input("ids", {3}, onnx::TensorProto::INT64);
  model.floats("words", {40, 64}, test::noise(40 * 64, 1));
  model.floats("bias", {32, 8}, test::noise(32 * 8, 2));
  model.floats("w", {64, 8}, test::noise(64 * 8, 3));
  model.node("Gather", {"words", "ids"}, {"h"});
  model.node("Gather", {"bias", "ids"}, {"b"});
  model.node("MatMul", {"h", "w"}, {"p"}, "unit");
  model.node("Add", {"p", "b"}, {"y"});
  model.output("y");
  model.save(folder.path() / "model.onnx");
  QuantizeOptions options;
  options.model = folder.path() / "model.onnx";
  options.format = "int8";
  options.embedding = "int8:32";
  options.out = folder.path() / "out";
  const qvl::QuantizedFile file = quantize_model(options).files.front();
  ASSERT_EQ(file.notes.size(), 1U);
  EXPECT_EQ(file.notes.front(), "the table bias [32, 8] stays as it is: blocks of 32 do not divide its rows");
  ASSERT_EQ(file.kept.size(), 1U);
  EXPECT_EQ(file.kept[0].what, "Gather");
  EXPECT_EQ(file.kept[0].bytes, 4U * 32 * 8);
  const auto ops = summarize_model(options.out / "model.onnx").ops;
  EXPECT_EQ(ops.at("com.microsoft::GatherBlockQuantized"), 1);
  EXPECT_EQ(ops.at("Gather"), 1);
  options.units = "unit";
  options.embedding = "int8:128";  // divides none of them
  options.out = folder.path() / "refused";
  EXPECT_THROW((void)quantize_model(options), InputError);
}

}  // namespace
}  // namespace qvl
