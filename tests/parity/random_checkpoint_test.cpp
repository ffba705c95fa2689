// What comes out of a checkpoint with random weights: activations of ordinary size and logits with an
// opinion, without which a comparison of two graphs, or a measurement, would mean nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "checkpoint/checkpoint.h"
#include "exporter/weight_stream.h"
#include "models/qwen25vl/tensors.h"
#include "models/qwen25vl/vision_graph.h"
#include "parity/golden.h"
#include "qvl/export.h"
#include "support/test_data.h"
#include "synth/synthesize.h"

namespace qvl {
namespace {

using namespace qwen25vl;

constexpr std::int64_t kWidth = 252;
constexpr std::int64_t kHeight = 420;
const char* const kPicture = "photo-252x420.png";

// The tiny preset, made and exported once.
class RandomCheckpoint : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<test::TemporaryFolder>();
    SynthOptions options;
    options.preset = "tiny";
    options.out = folder_->path() / "tiny";
    synthesize_checkpoint(options);
    export_text(false);
    export_text(true);
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static void export_text(bool f32) {
    ExportOptions options;
    options.checkpoint = folder_->path() / "tiny";
    options.out = folder_->path() / (f32 ? "f32" : "f16");
    options.image_width_pixels = kWidth;
    options.image_height_pixels = kHeight;
    options.text_in_f32 = f32;
    export_checkpoint(options);
  }

  static Checkpoint checkpoint() { return Checkpoint::open(folder_->path() / "tiny"); }

  // Logits [positions, vocab] after these tokens.
  static std::vector<float> logits(const std::vector<std::int64_t>& ids, bool f32) {
    const Shape shape{1, static_cast<std::int64_t>(ids.size())};
    const std::vector<std::int64_t> ones(ids.size(), 1);
    const Tensor input_ids = Tensor::of(DType::i64, shape, std::span<const std::int64_t>(ids));
    const Tensor mask = Tensor::of(DType::i64, shape, std::span<const std::int64_t>(ones));
    const Session session(folder_->path() / (f32 ? "f32/tiny_text_fp32.onnx" : "f16/tiny_text_fp16.onnx"));
    return test::to_floats(
        session.run({{"input_ids", input_ids.view()}, {"attention_mask", mask.view()}}).front().view());
  }

  static std::vector<float> features(const std::string& picture) {
    const Tensor pixels = test::pixel_values(picture, kWidth, kHeight);
    const Session session(folder_->path() / "f16" / "tiny_vision_252x420_fp32.onnx");
    return test::to_floats(session.run({{"pixel_values", pixels.view()}}).front().view());
  }

  static std::unique_ptr<test::TemporaryFolder> folder_;
};
std::unique_ptr<test::TemporaryFolder> RandomCheckpoint::folder_;

double deviation(std::span<const float> values) {
  const auto count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double square = 0;
  for (const float v : values) square += (v - mean) * (v - mean);
  return std::sqrt(square / count);
}

// A text of every kind of token.
std::vector<std::int64_t> some_ids() {
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < 96; ++i) ids.push_back(i * i * 7 % 300);
  return ids;
}

TEST_F(RandomCheckpoint, HiddenStatesOfTheVisionEncoderKeepTheirSize) {
  const Checkpoint model_files = checkpoint();
  const ModelConfig config = read_model_config(model_files.folder() / "config.json");
  const TensorTable table = tensor_table(config);
  VisionGraphOptions options;
  options.width_pixels = kWidth;
  options.height_pixels = kHeight;
  options.output_blocks = true;
  const OnnxModel model = build_vision_graph(config, table, options);
  model.save(folder_->path() / "v.onnx", "v.onnx_data");
  write_external_data(model, model_files, planned_tensors(model, table, source_lookup(model_files)),
                      folder_->path() / "v.onnx_data", {});
  const Session session(folder_->path() / "v.onnx");
  const Tensor pixels = test::pixel_values(kPicture, kWidth, kHeight);
  for (const OutputTensor& output : session.run({{"pixel_values", pixels.view()}})) {
    const auto values = test::to_floats(output.view());
    EXPECT_GT(deviation(values), 0.3);
    EXPECT_LT(deviation(values), 3.0);
    for (const float v : values) ASSERT_LT(std::abs(v), 100.0F);
  }
}

TEST_F(RandomCheckpoint, LogitsAreNeitherFlatNorSaturated) {
  const std::vector<std::int64_t> ids = some_ids();
  const auto vocab =
      static_cast<std::size_t>(read_model_config(checkpoint().folder() / "config.json").text.vocab_size);
  const std::vector<float> all = logits(ids, true);
  std::set<std::ptrdiff_t> best;
  std::size_t repeats = 0;
  double chance_of_best = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::span row(all.data() + i * vocab, vocab);
    EXPECT_GT(deviation(row), 1.0);
    EXPECT_LT(deviation(row), 6.0);
    const auto top = std::max_element(row.begin(), row.end()) - row.begin();
    best.insert(top);
    repeats += top == ids[i] ? 1U : 0U;
    double sum = 0;
    for (const float v : row) sum += std::exp(v - row[static_cast<std::size_t>(top)]);
    chance_of_best += 1 / sum / static_cast<double>(ids.size());
  }
  EXPECT_GT(best.size(), 20U);  // of 96: the answer depends on the text
  EXPECT_LT(repeats, 48U);      // and is not just the last token again
  EXPECT_GT(chance_of_best, 0.05);
  EXPECT_LT(chance_of_best, 0.95);
}

// The same last token behind different texts.
TEST_F(RandomCheckpoint, LogitsDependOnWhatCameBefore) {
  std::vector<std::int64_t> ids = some_ids();
  const std::vector<float> first = logits(ids, true);
  std::reverse(ids.begin(), ids.end() - 1);
  const std::vector<float> second = logits(ids, true);
  const std::size_t vocab = first.size() / ids.size();
  EXPECT_GT(test::relative_difference({second.end() - static_cast<std::ptrdiff_t>(vocab), second.end()},
                                      {first.end() - static_cast<std::ptrdiff_t>(vocab), first.end()}),
            0.05);
}

TEST_F(RandomCheckpoint, F16IsWideEnough) {
  const std::vector<float> exact = logits(some_ids(), true);
  EXPECT_LT(test::relative_difference(logits(some_ids(), false), exact), 1e-2);
}

TEST_F(RandomCheckpoint, PicturesDiffer) {
  const std::vector<float> first = features(kPicture);
  EXPECT_GT(deviation(first), 0.1);
  EXPECT_LT(deviation(first), 10.0);
  EXPECT_GT(test::relative_difference(features("photo-364x140.png"), first), 0.05);
}

}  // namespace
}  // namespace qvl
