// What calibration data does for the numbers of a quantized file.
#include <gtest/gtest.h>

#include "checkpoint/safetensors_writer.h"
#include "quantizer/channel_stats.h"
#include "qvl/error.h"
#include "qvl/quantize.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::HandMadeModel;
using test::Tensors;

constexpr std::int64_t kRows = 96;
constexpr std::int64_t kDepth = 64;

// Two layers on inputs with a few hidden directions, and one channel far larger than the others.
class Calibrated : public testing::Test {
 protected:
  void SetUp() override {
    model_.input("x", {kRows, kDepth});
    model_.floats("w1", {kDepth, 48}, test::noise(kDepth * 48, 1, 0.2F));
    model_.floats("w2", {48, 24}, test::noise(48 * 24, 2, 0.2F));
    model_.node("MatMul", {"x", "w1"}, {"a"}, "/layers.0/first");
    model_.node("Tanh", {"a"}, {"b"});
    model_.node("MatMul", {"b", "w2"}, {"y"}, "/layers.1/second");
    model_.output("y");
    model_.save(folder_.path() / "model.onnx");
    fs::create_directories(folder_.path() / "data");
    for (unsigned s = 0; s < 3; ++s) {
      std::vector<NamedTensor> named{{"x", inputs_[s].view()}};
      write_safetensors(folder_.path() / "data" / ("s" + std::to_string(s) + ".safetensors"), named);
    }
  }

  static Tensor sample(unsigned seed) {
    const std::vector<float> hidden = test::noise(kRows * 6, seed);
    const std::vector<float> mixing = test::noise(6 * kDepth, 99);
    const std::vector<float> own = test::noise(kRows * kDepth, seed + 50, 0.1F);
    std::vector<float> x(own);
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t k = 0; k < kDepth; ++k) {
        for (std::size_t h = 0; h < 6; ++h) x[r * kDepth + k] += hidden[r * 6 + h] * mixing[h * kDepth + k];
        if (k == 5) x[r * kDepth + k] *= 30;
      }
    }
    return test::floats_of({kRows, kDepth}, x);
  }

  // Distance of the quantized model's output from the model's own, on the samples.
  double distance(const std::string& format, const std::string& algorithm, double smooth = 0,
                  int threads = 2) {
    QuantizeOptions options;
    options.model = folder_.path() / "model.onnx";
    options.data = folder_.path() / "data";
    options.format = format;
    options.algorithm = algorithm;
    options.smooth = smooth;
    options.threads = threads;
    options.out = folder_.path() / (format + algorithm + std::to_string(smooth) + std::to_string(threads));
    (void)quantize_model(options);
    last_ = options.out;
    double sum = 0;
    for (const Tensor& x : inputs_) {
      const auto run = [&](const fs::path& file) {
        return test::values_of(test::run_model(test::read_file(file), file, {{"x", x}}, {"y"}).at("y"));
      };
      const auto a = run(options.model);
      const auto b = run(options.out / "model.onnx");
      for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
    }
    return sum;
  }

  test::TemporaryFolder folder_;
  HandMadeModel model_;
  std::vector<Tensor> inputs_ = [] {
    std::vector<Tensor> inputs;
    for (unsigned s = 0; s < 3; ++s) inputs.push_back(sample(20 + s));
    return inputs;
  }();
  fs::path last_;
};

TEST_F(Calibrated, GptqIsNearerThanRounding) {
  EXPECT_LT(distance("int4:32", "gptq"), 0.5 * distance("int4:32", "nearest"));
}

TEST_F(Calibrated, LeastSquaresIsNoFartherThanRounding) {
  EXPECT_LT(distance("int4:64", "least-squares"), distance("int4:64", "nearest"));
}

TEST_F(Calibrated, SmoothingHelpsWhereAChannelIsFarLarger) {
  const double plain = distance("int8-dynamic", "nearest");
  EXPECT_LT(distance("int8-dynamic", "nearest", 0.5), 0.6 * plain);
  EXPECT_LT(distance("int8-dynamic", "nearest", kSmoothAuto), 0.6 * plain);
  const double fixed = distance("int8-static", "nearest");
  EXPECT_LT(distance("int8-static", "nearest", kSmoothAuto), 0.6 * fixed);
}

TEST_F(Calibrated, GivesTheSameFilesForAnyNumberOfThreads) {
  for (const auto& [format, algorithm, smooth] : std::vector<std::tuple<std::string, std::string, double>>{
           {"int4:32", "gptq", 0}, {"int8", "least-squares", 0}, {"int8-static", "gptq", kSmoothAuto}}) {
    (void)distance(format, algorithm, smooth, 1);
    const std::string one = test::read_file(last_ / "model.onnx_data");
    (void)distance(format, algorithm, smooth, 3);
    EXPECT_EQ(one, test::read_file(last_ / "model.onnx_data")) << format << " " << algorithm;
  }
}

// A sample without rows adds nothing, wherever it stands among the others.
TEST_F(Calibrated, SamplesWithoutRowsChangeNoFile) {
  HandMadeModel open;
  open.input("x", {test::kOpen, kDepth});
  open.floats("w1", {kDepth, 48}, test::noise(kDepth * 48, 1, 0.2F));
  open.node("MatMul", {"x", "w1"}, {"y"}, "/first");
  open.output("y");
  open.save(folder_.path() / "open.onnx");
  const auto write = [&](const std::string& folder, const std::vector<int>& which) {
    fs::create_directories(folder_.path() / folder);
    for (std::size_t i = 0; i < which.size(); ++i) {
      const Tensor none(DType::f32, {0, kDepth});
      const TensorView x = which[i] < 0 ? none.view() : inputs_[static_cast<std::size_t>(which[i])].view();
      const std::vector<NamedTensor> named{{"x", x}};
      write_safetensors(folder_.path() / folder / ("s" + std::to_string(i) + ".safetensors"), named);
    }
  };
  write("rows", {0, 1, 2});
  write("with", {-1, 0, -1, 1, 2, -1});
  write("none", {-1, -1});
  const auto quantized = [&](const std::string& data, const std::string& format, const std::string& algorithm,
                             double smooth) {
    QuantizeOptions options;
    options.model = folder_.path() / "open.onnx";
    options.data = folder_.path() / data;
    options.format = format;
    options.algorithm = algorithm;
    options.smooth = smooth;
    options.force = true;
    options.out = folder_.path() / "q";
    (void)quantize_model(options);
    return test::read_file(options.out / "open.onnx") + test::read_file(options.out / "open.onnx_data");
  };
  for (const auto& [format, algorithm, smooth] :
       std::vector<std::tuple<std::string, std::string, double>>{{"int4:32", "least-squares", 0},
                                                                 {"int4:32", "gptq", 0},
                                                                 {"int8-static", "nearest", 0.5},
                                                                 {"int8-static", "nearest", kSmoothAuto},
                                                                 {"int8-dynamic", "nearest", kSmoothAuto}}) {
    EXPECT_EQ(quantized("rows", format, algorithm, smooth), quantized("with", format, algorithm, smooth))
        << format << " " << algorithm << " " << smooth;
  }
  EXPECT_THROW((void)quantized("none", "int8-static", "nearest", 0), InputError);
  EXPECT_THROW((void)quantized("none", "int4:32", "gptq", 0), InputError);
}

// One number far above all others makes the range, and is among the rows that are tried.
TEST(Smoothing, TrialsKnowTheRangeAndItsRows) {
  const std::int64_t depth = 16;
  std::vector<float> rows = test::noise(static_cast<std::size_t>(depth) * 240, 1);
  ChannelStats even(depth);
  even.add(rows);
  rows[static_cast<std::size_t>(depth) * 5 + 3] = 4000;
  ChannelStats odd(depth);
  odd.add(rows);
  EXPECT_FLOAT_EQ(odd.range(std::vector<float>(16, 0.5F)).most, 2000.0F);
  EXPECT_NE(std::ranges::find(odd.rows(), 4000.0F), odd.rows().end());
  const WeightLayout layout{1, 8, depth, DepthAxis::strided};
  const std::vector<float> weight = test::noise(layout.elements(), 2);
  EXPECT_GT(best_alpha(odd, odd, true, layout, weight, 1), 0);
}

TEST(Smoothing, FactorsAreTheFormula) {
  const WeightLayout layout{1, 2, 3, DepthAxis::strided};
  const std::vector<float> weight{1, -4, 0, 0, 0.5F, 0.25F};
  const std::vector<float> largest{16, 2, 8};
  const auto factors = smoothing_factors(largest, layout, weight, 0.5);
  EXPECT_FLOAT_EQ(factors[0], 2.0F);  // sqrt(16 / 4)
  EXPECT_FLOAT_EQ(factors[1], 1.0F);  // no weight
  EXPECT_FLOAT_EQ(factors[2], 4.0F);  // sqrt(8 / 0.5)
}

}  // namespace
}  // namespace qvl
