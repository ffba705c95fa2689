// Whole runs: every number of report.json against PlainMeasurement.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "checkpoint/safetensors_writer.h"
#include "core/json_text.h"
#include "qvl/error.h"
#include "sensitivity/report/report_reader.h"
#include "support/error_text.h"
#include "support/hand_made_model.h"
#include "support/test_data.h"
#include "unit/checkpoint/npz_bytes.h"
#include "unit/sensitivity/plain_measurement.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::HandMadeModel;
using test::kOpen;
using test::noise;
using test::PlainMeasurement;
using test::set;
using test::Tensors;
using Names = std::vector<std::string>;

// Relative, of everything that is measured in f32 models.
constexpr double kBar = 1e-5;

// Attention with a mask, a feed-forward block of Gemms (transB 1 and 0, biases), a stack of three matrices,
// logits.
HandMadeModel text_model() {
  HandMadeModel model;
  model.input("input_ids", {kOpen, kOpen}, onnx::TensorProto::INT64);
  model.input("attention_mask", {kOpen, kOpen}, onnx::TensorProto::INT64);
  model.floats("table", {40, 48}, noise(40 * 48, 1));
  unsigned seed = 10;
  const auto weight = [&](const std::string& name, const Shape& shape, float deviation) {
    model.floats(name, shape, noise(static_cast<std::size_t>(*element_count(shape)), seed++, deviation));
  };
  model.node("Gather", {"table", "input_ids"}, {"h"});
  for (const std::string name : {"q", "k", "v", "o"}) weight("w_" + name, {48, 48}, 0.15F);
  for (const std::string name : {"q", "k", "v"})
    model.node("MatMul", {"h", "w_" + name}, {name}, "/layers.0/attn/" + name + "/MatMul");
  set(model.node("Transpose", {"k"}, {"k_turned"}), "perm", std::vector<std::int64_t>{0, 2, 1});
  model.node("MatMul", {"q", "k_turned"}, {"raw_scores"});
  model.floats("scale", {}, {0.15F});
  model.node("Mul", {"raw_scores", "scale"}, {"scores"});
  set(model.node("Cast", {"attention_mask"}, {"mask"}), "to", onnx::TensorProto::FLOAT);
  model.floats("one", {}, {1});
  model.floats("far", {}, {1e4F});
  model.integers("axis1", {1}, {1});
  model.node("Sub", {"mask", "one"}, {"below"});
  model.node("Mul", {"below", "far"}, {"far_below"});
  model.node("Unsqueeze", {"far_below", "axis1"}, {"bias"});
  model.node("Add", {"scores", "bias"}, {"masked"});
  model.node("Softmax", {"masked"}, {"shares"});
  model.node("MatMul", {"shares", "v"}, {"mixed"});
  model.node("MatMul", {"mixed", "w_o"}, {"attended"}, "/layers.0/attn/o/MatMul");
  model.node("Shape", {"attended"}, {"shape"});  // taken in another segment
  model.node("Add", {"h", "attended"}, {"h1"});

  weight("w_up", {72, 48}, 0.2F);
  weight("b_up", {72}, 0.2F);
  weight("w_down", {72, 48}, 0.1F);
  weight("b_down", {48}, 0.2F);
  model.integers("flat", {2}, {-1, 48});
  model.node("Reshape", {"h1", "flat"}, {"rows"});
  set(model.node("Gemm", {"rows", "w_up", "b_up"}, {"up"}, "/layers.1/mlp/up/Gemm"), "transB", 1);
  model.node("Relu", {"up"}, {"relu"});
  model.node("Gemm", {"relu", "w_down", "b_down"}, {"down"}, "/layers.1/mlp/down/Gemm");
  model.node("Reshape", {"down", "shape"}, {"back"});
  model.node("Add", {"h1", "back"}, {"h2"});

  weight("w_stack", {3, 48, 20}, 0.15F);
  weight("w_out", {20, 48}, 0.3F);
  weight("w_head", {48, 40}, 0.15F);
  model.node("Unsqueeze", {"h2", "axis1"}, {"wide"});
  model.node("MatMul", {"wide", "w_stack"}, {"stacked"}, "/layers.2/stack/MatMul");
  model.node("Tanh", {"stacked"}, {"tanh"});
  onnx::NodeProto& mean = model.node("ReduceMean", {"tanh"}, {"averaged"});
  set(mean, "axes", std::vector<std::int64_t>{1});
  set(mean, "keepdims", 0);
  model.node("MatMul", {"averaged", "w_out"}, {"projected"}, "/layers.2/out/MatMul");
  model.node("Add", {"h2", "projected"}, {"h3"});
  model.node("MatMul", {"h3", "w_head"}, {"logits"}, "/head/MatMul");
  model.output("logits");
  return model;
}

const Names kTextUnits{"/layers.0/attn/q/MatMul", "/layers.0/attn/k/MatMul", "/layers.0/attn/v/MatMul",
                       "/layers.0/attn/o/MatMul", "/layers.1/mlp/up/Gemm",   "/layers.1/mlp/down/Gemm",
                       "/layers.2/stack/MatMul",  "/layers.2/out/MatMul",    "/head/MatMul"};

// Convolutions with and without groups, biases, and a Gemm behind them; no logits.
HandMadeModel picture_model() {
  HandMadeModel model;
  model.input("pixels", {kOpen, 3, 10, 10});
  model.floats("k1", {8, 3, 3, 3}, noise(216, 1, 0.2F));
  model.floats("b1", {8}, noise(8, 2));
  model.floats("k2", {12, 4, 3, 3}, noise(432, 3, 0.2F));
  model.floats("b2", {12}, noise(12, 4));
  model.floats("w", {7, 12}, noise(84, 5, 0.3F));
  model.floats("b", {7}, noise(7, 6));
  set(model.node("Conv", {"pixels", "k1", "b1"}, {"c1"}, "conv1"), "pads",
      std::vector<std::int64_t>{1, 1, 1, 1});
  model.node("Relu", {"c1"}, {"r1"});
  set(model.node("Conv", {"r1", "k2", "b2"}, {"c2"}, "conv2"), "group", 2);
  model.node("Tanh", {"c2"}, {"r2"});
  model.node("GlobalAveragePool", {"r2"}, {"pooled"});
  model.node("Flatten", {"pooled"}, {"flat"});
  set(model.node("Gemm", {"flat", "w", "b"}, {"features"}, "fc"), "transB", 1);
  model.output("features");
  return model;
}

const Names kPictureUnits{"conv1", "conv2", "fc"};

PlainMeasurement::Sample text_sample(std::int64_t batch, std::int64_t length, std::int64_t padding,
                                     std::int64_t step, std::int64_t vocabulary) {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> mask;
  PlainMeasurement::Sample sample;
  for (std::int64_t i = 0; i < batch * length; ++i) {
    ids.push_back((i * step + 3) % vocabulary);
    // The first row of a batch is padded at its left, the others are whole.
    const bool counts = i >= padding;
    mask.push_back(counts ? 1 : 0);
    if (counts) sample.rows.push_back(static_cast<std::size_t>(i));
  }
  sample.inputs["input_ids"] = test::integers_of({batch, length}, ids);
  sample.inputs["attention_mask"] = test::integers_of({batch, length}, mask);
  return sample;
}

void write_safetensors_sample(const fs::path& file, const Tensors& tensors) {
  std::vector<NamedTensor> named;
  for (const auto& [name, tensor] : tensors) named.push_back({name, tensor.view()});
  write_safetensors(file, named);
}

void write_npz_sample(const fs::path& file, const Tensors& tensors) {
  std::vector<test::ZipMember> members;
  for (const auto& [name, tensor] : tensors) {
    std::string shape;
    for (const std::int64_t dim : tensor.shape()) shape += std::to_string(dim) + ", ";
    const std::string type = tensor.dtype() == DType::i64 ? "<i8" : "<f4";
    const std::string data(reinterpret_cast<const char*>(tensor.bytes().data()), tensor.bytes().size());
    members.push_back(
        {name + ".npy",
         test::npy_bytes("{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }\n",
                         data)});
  }
  test::write_file(file, test::zip_bytes(members));
}

// Collects by how much numbers differ, relatively.
class Comparison {
 public:
  void of(double expected, double found, const std::string& what) {
    const double off = expected == found ? 0 : std::abs(found - expected) / std::abs(expected);
    EXPECT_LE(off, kBar) << what << ": " << expected << " is expected, " << found << " was found";
    ++count_;
  }
  void of(const std::optional<double>& expected, const std::optional<double>& found,
          const std::string& what) {
    ASSERT_EQ(expected.has_value(), found.has_value()) << what;
    if (expected) of(*expected, *found, what);
  }
  void of(const OutputError& expected, const std::optional<OutputError>& found, const std::string& what) {
    ASSERT_TRUE(found) << what;
    of(expected.mse, found->mse, what + " mse");
    of(expected.kl, found->kl, what + " kl");
    of(expected.kl_stderr, found->kl_stderr, what + " kl_stderr");
    of(expected.kl_median, found->kl_median, what + " kl_median");
    of(expected.kl_p99, found->kl_p99, what + " kl_p99");
    of(expected.top1, found->top1, what + " top1");
    EXPECT_EQ(expected.exact, found->exact) << what;
  }
  [[nodiscard]] int count() const { return count_; }

 private:
  int count_ = 0;
};

class MeasureTest : public testing::Test {
 protected:
  MeasureTest() {
    options_.model = folder_.path() / "model.onnx";
    options_.data = folder_.path() / "samples";
    options_.report = folder_.path() / "report";
    options_.method = Method::exact;
    options_.direction_out = true;
    fs::create_directory(options_.data);
  }

  PlainMeasurement prepare(HandMadeModel model, const Names& units,
                           std::vector<PlainMeasurement::Sample> samples) {
    model.save(options_.model);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const std::string name = "sample" + std::to_string(i);
      if (i == 1) {
        write_npz_sample(options_.data / (name + ".npz"), samples[i].inputs);
      } else {
        write_safetensors_sample(options_.data / (name + ".safetensors"), samples[i].inputs);
      }
    }
    return {model.proto(), options_.model, units, std::move(samples)};
  }

  // The report as it was written, which must be what was returned.
  SensitivityReport measure() {
    const SensitivityRun run = measure_sensitivity(options_);
    EXPECT_TRUE(run.complete);
    SensitivityReport report = read_report(options_.report);
    EXPECT_EQ(report.units.size(), run.report.units.size());
    EXPECT_EQ(report.units.front().formats.front().in->mse, run.report.units.front().formats.front().in->mse);
    return report;
  }

  const test::TemporaryFolder folder_;
  SensitivityOptions options_;
};

// Every number that was measured, unit by unit, of those units that were quantized.
void compare(const SensitivityReport& report, const PlainMeasurement& plain, const Names& units,
             const Names& formats) {
  Comparison compared;
  ASSERT_EQ(report.units.size(), units.size());
  ASSERT_EQ(report.whole.size(), formats.size());
  for (std::size_t f = 0; f < formats.size(); ++f) {
    PlainMeasurement::Assignment all;
    for (const std::string& unit : units) all[unit] = formats[f];
    EXPECT_EQ(report.whole[f].format, formats[f]);
    compared.of(plain.output_error(all), report.whole[f].all, "all " + formats[f]);
    for (std::size_t u = 0; u < units.size(); ++u) {
      const UnitResult& unit = report.units[u];
      const std::string what = units[u] + " " + formats[f];
      EXPECT_EQ(unit.name, units[u]);
      ASSERT_EQ(unit.formats.size(), formats.size());
      const FormatResult& found = unit.formats[f];
      EXPECT_EQ(found.format, formats[f]);
      EXPECT_EQ(found.method, "exact");
      EXPECT_EQ(std::pair(unit.rows, unit.depth), plain.rows_and_depth(units[u]));
      EXPECT_EQ(unit.parameters, unit.rows * unit.depth);
      compared.of(plain.weight_mse(units[u], formats[f]), found.weight_mse, what + " weight_mse");
      const LocalError local = plain.local_error(units[u], formats[f]);
      ASSERT_TRUE(found.local) << what;
      compared.of(local.relative_error, found.local->relative_error, what + " relative_error");
      compared.of(local.sqnr_db, found.local->sqnr_db, what + " sqnr_db");
      compared.of(local.cosine, found.local->cosine, what + " cosine");
      compared.of(plain.output_error({{units[u], formats[f]}}), found.in, what + " in");
      PlainMeasurement::Assignment others = all;
      others.erase(units[u]);
      compared.of(plain.output_error(others), found.out, what + " out");
    }
  }
  EXPECT_GE(compared.count(), static_cast<int>(units.size() * formats.size()) * 6);
}

TEST_F(MeasureTest, TextModelIsAsMeasuredTheSlowWay) {
  PlainMeasurement plain =
      prepare(text_model(), kTextUnits,
              {text_sample(2, 9, 3, 7, 40), text_sample(1, 5, 0, 11, 40), text_sample(3, 6, 1, 13, 40)});
  options_.formats = {"int8", "int8:16", "int4:16", "int8-dynamic", "int8-static"};
  plain.calibrate("minmax");
  const SensitivityReport report = measure();
  EXPECT_TRUE(report.has_logits);
  EXPECT_EQ(report.samples, 3);
  EXPECT_EQ(report.positions, 15 + 5 + 17);
  compare(report, plain, kTextUnits, options_.formats);
}

TEST_F(MeasureTest, PictureModelIsAsMeasuredTheSlowWay) {
  std::vector<PlainMeasurement::Sample> samples(2);
  samples[0].inputs["pixels"] = test::floats_of({2, 3, 10, 10}, noise(600, 21));
  samples[1].inputs["pixels"] = test::floats_of({1, 3, 10, 10}, noise(300, 22));
  PlainMeasurement plain = prepare(picture_model(), kPictureUnits, samples);
  options_.formats = {"int8", "int8:16", "int4:16", "int8-dynamic", "int8-static"};
  plain.calibrate("minmax");
  const SensitivityReport report = measure();
  EXPECT_FALSE(report.has_logits);
  EXPECT_EQ(report.criterion, Criterion::mse);
  EXPECT_EQ(report.positions, 0);
  compare(report, plain, kPictureUnits, options_.formats);
}

// Each sample counts once, and values beyond the range are cut off.
TEST_F(MeasureTest, RangesCanBePercentiles) {
  PlainMeasurement plain =
      prepare(text_model(), kTextUnits,
              {text_sample(2, 9, 3, 7, 40), text_sample(1, 5, 0, 11, 40), text_sample(3, 6, 1, 13, 40)});
  options_.formats = {"int8-static"};
  options_.calibrate = "percentile:97";
  plain.calibrate(options_.calibrate);
  compare(measure(), plain, kTextUnits, options_.formats);
}

// A model that PyTorch exported, with some of its units.
TEST_F(MeasureTest, ForeignModelIsAsMeasuredTheSlowWay) {
  HandMadeModel model;
  ASSERT_TRUE(model.proto().ParseFromString(test::read_file(test::data("foreign-onnx/text.onnx"))));
  const Names units{"/m/model/language_model/layers.0/self_attn/k_proj/MatMul",
                    "/m/model/language_model/layers.1/mlp/down_proj/MatMul", "/m/lm_head/MatMul"};
  PlainMeasurement plain =
      prepare(model, units, {text_sample(2, 7, 2, 29, 300), text_sample(1, 12, 0, 31, 300)});
  options_.formats = {"int8", "int4:32", "int8-dynamic"};
  options_.units = "";
  for (const std::string& unit : units) options_.units += (options_.units.empty() ? "" : ",") + unit;
  compare(measure(), plain, units, options_.formats);
}

// Of a classifier: a row of logits a text, not one a token, whose mask says nothing of them.
HandMadeModel classifier(bool with_mask) {
  HandMadeModel model;
  model.input("x", {kOpen, 6, 16});
  model.input("attention_mask", {kOpen, 6}, onnx::TensorProto::INT64);
  model.floats("w", {16, 32}, noise(512, 1, 0.3F));
  model.floats("v", {32, 11}, noise(352, 2, 0.3F));
  model.integers("axis", {1}, {1});
  model.node("MatMul", {"x", "w"}, {"a"}, "first");
  model.node("Tanh", {"a"}, {"b"});
  set(model.node("ReduceMean", {"b"}, {"c"}), "axes", std::vector<std::int64_t>{1});
  set(*model.graph().mutable_node(2), "keepdims", 0);
  model.node("MatMul", {"c", "v"}, {"d"}, "second");
  set(model.node("Cast", {"attention_mask"}, {"mask"}), "to", onnx::TensorProto::FLOAT);
  set(model.node("ReduceMean", {"mask"}, {"shares"}), "axes", std::vector<std::int64_t>{1});
  model.node(with_mask ? "Mul" : "Add", {"d", "shares"}, {"logits"});
  model.output("logits");
  if (with_mask) return model;
  model.graph().mutable_input()->DeleteSubrange(1, 1);
  model.integers("attention_mask", {1, 6}, {1, 1, 1, 1, 1, 1});
  return model;
}

TEST_F(MeasureTest, LogitsOfClassifiersAllCount) {
  for (const bool with_mask : {false, true}) {
    std::vector<PlainMeasurement::Sample> samples(2);
    for (std::size_t i = 0; i < 2; ++i) {
      const auto batch = static_cast<std::int64_t>(i) + 3;
      samples[i].inputs["x"] =
          test::floats_of({batch, 6, 16}, noise(static_cast<std::size_t>(batch) * 96, 7));
      if (with_mask) {
        samples[i].inputs["attention_mask"] =
            test::integers_of({batch, 6}, std::vector<std::int64_t>(static_cast<std::size_t>(batch) * 6, 1));
      }
      for (std::size_t row = 0; row < i + 3; ++row) samples[i].rows.push_back(row);
    }
    const Names units{"first", "second"};
    const PlainMeasurement plain = prepare(classifier(with_mask), units, samples);
    options_.formats = {"int4:16"};
    options_.report = folder_.path() / (with_mask ? "with mask" : "without");
    const SensitivityReport report = measure();
    EXPECT_EQ(report.positions, 7);
    compare(report, plain, units, options_.formats);
  }
}

// What is estimated says so, and is what the exact method keeps beside its numbers.
TEST_F(MeasureTest, FastAndAutomaticAgreeWithExact) {
  (void)prepare(text_model(), kTextUnits, {text_sample(2, 9, 3, 7, 40), text_sample(1, 5, 0, 11, 40)});
  options_.formats = {"int8", "int4:16"};
  const SensitivityReport exact = measure();
  options_.report = folder_.path() / "fast";
  options_.method = Method::fast;
  const SensitivityReport fast = measure();
  options_.report = folder_.path() / "auto";
  options_.method = Method::automatic;
  const SensitivityReport automatic = measure();
  std::size_t measured = 0;
  for (std::size_t u = 0; u < kTextUnits.size(); ++u) {
    for (std::size_t f = 0; f < 2; ++f) {
      const FormatResult& e = exact.units[u].formats[f];
      const FormatResult& quick = fast.units[u].formats[f];
      const FormatResult& a = automatic.units[u].formats[f];
      EXPECT_EQ(quick.method, "fast");
      EXPECT_EQ(quick.in->mse, quick.fast_in->mse);
      EXPECT_EQ(quick.out->kl, quick.fast_out->kl);
      EXPECT_EQ(a.fast_in->mse, quick.fast_in->mse);
      EXPECT_EQ(a.fast_out->kl, quick.fast_out->kl);
      EXPECT_EQ(a.local->relative_error, e.local->relative_error);
      measured += a.method == "exact";
      EXPECT_EQ(a.in->mse, a.method == "exact" ? e.in->mse : quick.in->mse);
      EXPECT_EQ(a.out->kl, a.method == "exact" ? e.out->kl : quick.out->kl);
      EXPECT_GT(quick.in->mse, e.in->mse / 3);
      EXPECT_LT(quick.in->mse, e.in->mse * 3);
    }
  }
  EXPECT_GE(measured, 6U);
  EXPECT_EQ(automatic.whole[0].all->mse, exact.whole[0].all->mse);
}

TEST_F(MeasureTest, ShardsTogetherAreTheWholeRun) {
  (void)prepare(text_model(), kTextUnits, {text_sample(2, 9, 3, 7, 40), text_sample(1, 5, 0, 11, 40)});
  options_.formats = {"int8", "int8-static"};
  (void)measure_sensitivity(options_);
  std::vector<fs::path> folders;
  for (int shard = 0; shard < 2; ++shard) {
    SensitivityOptions part = options_;
    part.shard = {shard, 2};
    part.report = folders.emplace_back(folder_.path() / ("shard" + std::to_string(shard)));
    EXPECT_FALSE(measure_sensitivity(part).complete);
  }
  EXPECT_THROW((void)merge_sensitivity({folders[0]}, folder_.path() / "half"), InputError);
  const fs::path merged = folder_.path() / "merged";
  (void)merge_sensitivity(folders, merged);
  for (const char* name : {"report.json", "report.csv", "report.md", "report.html"})
    EXPECT_EQ(test::read_file(merged / name), test::read_file(options_.report / name)) << name;
}

TEST_F(MeasureTest, ASecondRunMeasuresNothing) {
  (void)prepare(picture_model(), kPictureUnits,
                {{{{"pixels", test::floats_of({1, 3, 10, 10}, noise(300, 22))}}, {}}});
  options_.formats = {"int8"};
  const SensitivityRun first = measure_sensitivity(options_);
  EXPECT_GT(first.measured, 0);
  const std::string report = test::read_file(options_.report / "report.json");
  const SensitivityRun second = measure_sensitivity(options_);
  EXPECT_EQ(second.measured, 0);
  EXPECT_EQ(second.passes, 0);
  EXPECT_EQ(second.reused, first.measured);
  EXPECT_EQ(test::read_file(options_.report / "report.json"), report);
}

TEST_F(MeasureTest, SaysWhatIsNotFinite) {
  HandMadeModel model = picture_model();
  onnx::TensorProto& bias = *model.graph().mutable_initializer(3);
  ASSERT_EQ(bias.name(), "b2");
  bias = test::float_tensor("b2", {12}, std::vector<float>(12, std::numeric_limits<float>::infinity()));
  model.save(options_.model);
  write_safetensors_sample(options_.data / "a.safetensors",
                           {{"pixels", test::floats_of({1, 3, 10, 10}, noise(300, 22))}});
  options_.formats = {"int8"};
  const std::string error = test::input_error([&] { (void)measure_sensitivity(options_); });
  EXPECT_EQ(error, "a.safetensors: the unquantized output of unit conv2 is not finite");
}

// With as little memory as will do, samples go through one by one, and candidates are finished in between.
TEST_F(MeasureTest, LittleMemoryGivesTheSameReport) {
#if defined(QVL_SANITIZED)
  constexpr std::int64_t kSampleRows = 2000;
#else
  constexpr std::int64_t kSampleRows = 20000;  // states of some MB
#endif
  HandMadeModel model;
  model.input("x", {kOpen, 16});
  std::string value = "x";
  for (unsigned i = 0; i < 3; ++i) {
    const std::string n = std::to_string(i);
    model.floats("w" + n, {16, 16}, noise(256, i + 1));
    model.node("MatMul", {value, "w" + n}, {"p" + n}, "unit" + n);
    value = i == 2 ? "logits" : "t" + n;
    model.node("Tanh", {"p" + n}, {value});
  }
  model.output(value);
  model.save(options_.model);
  for (unsigned i = 0; i < 3; ++i) {
    write_safetensors_sample(options_.data / (std::to_string(i) + ".safetensors"),
                             {{"x", test::floats_of({kSampleRows, 16}, noise(kSampleRows * 16, 30 + i))}});
  }
  options_.formats = {"int8", "int4:16"};
  (void)measure_sensitivity(options_);
  SensitivityOptions little = options_;
  little.report = folder_.path() / "little";
  little.memory_bytes = std::uint64_t{1} << 20U;
  bool done = false;
  for (int tries = 0; tries < 10 && !done; ++tries) {
    try {
      EXPECT_TRUE(measure_sensitivity(little).complete);
      done = true;
    } catch (const MachineError& error) {
      const std::string text = error.what();  // "...; 123 MiB would"
      // More where that was not enough: under the sanitizers a process grows from one run to the next.
      const std::uint64_t needed =
          std::stoull(text.substr(text.find("; ") + 2)) + 64U * static_cast<unsigned>(tries);
      little.memory_bytes = needed << 20U;
    }
  }
  ASSERT_TRUE(done);
  EXPECT_EQ(test::read_file(little.report / "report.json"), test::read_file(options_.report / "report.json"));
}

TEST_F(MeasureTest, RefusesTooLittleMemory) {
  (void)prepare(picture_model(), kPictureUnits,
                {{{{"pixels", test::floats_of({1, 3, 10, 10}, noise(300, 22))}}, {}}});
  options_.formats = {"int8"};
  options_.memory_bytes = std::uint64_t{1} << 20U;
  EXPECT_THROW((void)measure_sensitivity(options_), MachineError);
}

}  // namespace
}  // namespace qvl
