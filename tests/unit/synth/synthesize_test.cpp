#include "synth/synthesize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "checkpoint/checkpoint.h"
#include "core/convert.h"
#include "core/sha256.h"
#include "models/family.h"
#include "models/qwen25vl/byte_tokenizer.h"
#include "models/qwen25vl/tensors.h"
#include "models/qwen25vl/weight_distribution.h"
#include "qvl/error.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using namespace qwen25vl;

namespace fs = std::filesystem;

// Every file of a folder by its name.
std::map<std::string, std::string> files(const fs::path& folder) {
  std::map<std::string, std::string> result;
  if (!fs::exists(folder)) return result;
  for (const auto& entry : fs::directory_iterator(folder)) {
    result[entry.path().filename()] = entry.is_directory() ? "a folder" : test::read_file(entry.path());
  }
  return result;
}

std::vector<std::string> names(const fs::path& folder) {
  std::vector<std::string> result;
  for (const auto& [name, text] : files(folder)) result.push_back(name);
  return result;
}

SynthOptions tiny(const fs::path& out) {
  SynthOptions options;
  options.preset = "tiny";
  options.out = out;
  return options;
}

template <class E>
std::string refusal(const SynthOptions& options) {
  try {
    synthesize_checkpoint(options);
  } catch (const E& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(Synthesize, WritesTheFilesOfACheckpoint) {
  const test::TemporaryFolder folder;
  const fs::path out = folder.path() / "new" / "tiny";
  synthesize_checkpoint(tiny(out));
  EXPECT_EQ(names(out), (std::vector<std::string>{"config.json", "generation_config.json",
                                                  "model.safetensors", "preprocessor_config.json",
                                                  "tokenizer.json", "tokenizer_config.json"}));
}

// What is promised of a preset and a seed. A change of any byte is a change for those who compare results.
TEST(Synthesize, TheBytesNeverChange) {
  const test::TemporaryFolder folder;
  synthesize_checkpoint(tiny(folder.path() / "x"));
  Sha256 hash;
  for (const auto& [name, text] : files(folder.path() / "x")) {
    hash.update(std::as_bytes(std::span(name)));
    hash.update(std::as_bytes(std::span(text)));
  }
  EXPECT_EQ(hash.hex(), "7e157cdd27feef8463f03497852799d6bc71ade89cb43a6f55ccaabebd7527f0");
}

TEST(Synthesize, ThreadsDoNotCount) {
  const test::TemporaryFolder folder;
  SynthOptions options = tiny(folder.path() / "1");
  options.shards = 4;
  options.threads = 1;
  synthesize_checkpoint(options);
  for (const int threads : {2, 3}) {
    options.out = folder.path() / std::to_string(threads);
    options.threads = threads;
    synthesize_checkpoint(options);
    EXPECT_EQ(files(options.out), files(folder.path() / "1")) << threads;
  }
  options.seed = 1;
  options.out = folder.path() / "other";
  synthesize_checkpoint(options);
  const auto expected = files(folder.path() / "1");
  for (const auto& [name, text] : files(options.out)) {
    EXPECT_EQ(text == expected.at(name), !name.ends_with(".safetensors")) << name;
  }
}

// A tensor's values depend on seed and name, not on where it lies or how wide it is.
TEST(Synthesize, OpensInEveryDtypeAndSharding) {
  const test::TemporaryFolder folder;
  synthesize_checkpoint(tiny(folder.path() / "reference"));
  const Checkpoint reference = Checkpoint::open(folder.path() / "reference");
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    for (const std::int64_t shards : {0, 2, 5, 92}) {
      SynthOptions options = tiny(folder.path() / "x");
      options.dtype = dtype;
      options.shards = shards;
      options.force = true;
      synthesize_checkpoint(options);
      EXPECT_EQ(names(options.out).size(), shards == 0 ? 6U : 6U + static_cast<std::size_t>(shards));
      const Checkpoint checkpoint = Checkpoint::open(options.out);
      EXPECT_NO_THROW(tensor_table(read_model_config(options.out / "config.json")).require_match(checkpoint));
      for (const std::string& name : checkpoint.names()) {
        ASSERT_EQ(checkpoint.find(name)->dtype, dtype);
        if (dtype == DType::bf16) {
          const auto a = checkpoint.view(name).bytes;
          const auto b = reference.view(name).bytes;
          ASSERT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << name;
        }
      }
    }
  }
}

TEST(Synthesize, EveryTensorHasItsDistribution) {
  const test::TemporaryFolder folder;
  SynthOptions options = tiny(folder.path() / "x");
  options.dtype = DType::f16;
  synthesize_checkpoint(options);
  const Checkpoint checkpoint = Checkpoint::open(options.out);
  for (const std::string& name : checkpoint.names()) {
    const TensorView view = checkpoint.view(name);
    const auto [mean, deviation] =
        weight_distribution(name, view.shape, read_model_config(checkpoint.folder() / "config.json"));
    std::vector<float> values(static_cast<std::size_t>(*element_count(view.shape)));
    const ConversionStats stats =
        convert(DType::f16, view.bytes, DType::f32, std::as_writable_bytes(std::span(values)));
    EXPECT_EQ(stats.not_finite, 0U);
    double sum = 0;
    double square = 0;
    for (const float v : values) {
      sum += v - mean;
      square += (v - mean) * (v - mean);
    }
    const auto count = static_cast<double>(values.size());
    EXPECT_NEAR(sum / count, 0.0, 4.5 * deviation / std::sqrt(count)) << name;
    EXPECT_NEAR(std::sqrt(square / count) / deviation, 1.0, 4.5 / std::sqrt(count)) << name;
  }
}

TEST(WeightDistribution, ScalesWithWidthAndDepth) {
  const ModelConfig config = parse_model_config(preset("3b").preset.config_json, "3b");
  const TensorTable table = tensor_table(config);
  const auto of = [&](const std::string& name) {
    return weight_distribution(name, table.row(name).shape, config);
  };
  const auto expect = [&](const std::string& name, double mean, double deviation) {
    EXPECT_FLOAT_EQ(of(name).mean, static_cast<float>(mean)) << name;
    EXPECT_FLOAT_EQ(of(name).deviation, static_cast<float>(deviation)) << name;
  };
  expect("visual.patch_embed.proj.weight", 0, 1 / std::sqrt(1176.0));
  expect("visual.blocks.3.norm1.weight", 1, 0.1);
  expect("visual.blocks.3.attn.qkv.weight", 0, 1 / std::sqrt(1280.0));
  expect("visual.blocks.3.attn.qkv.bias", 0, 0.02);
  expect("visual.blocks.3.attn.proj.weight", 0, 1 / std::sqrt(1280.0 * 64));
  expect("visual.blocks.3.mlp.down_proj.weight", 0, 1 / std::sqrt(3420.0 * 64));
  expect("visual.merger.mlp.2.weight", 0, 1 / std::sqrt(5120.0));
  expect("model.embed_tokens.weight", 0, 1 / std::sqrt(2048.0));
  expect("model.layers.7.self_attn.k_proj.weight", 0, std::sqrt(2 / 2048.0));
  expect("model.layers.7.self_attn.k_proj.bias", 0, 0.1);
  expect("model.layers.7.self_attn.v_proj.weight", 0, 1 / std::sqrt(2048.0));
  expect("model.layers.7.self_attn.o_proj.weight", 0, 1 / std::sqrt(2048.0 * 72));
  expect("model.layers.7.mlp.up_proj.weight", 0, 1 / std::sqrt(2048.0));
  expect("model.layers.7.mlp.down_proj.weight", 0, 1 / std::sqrt(11008.0 * 72));
  expect("model.norm.weight", 3, 0.3);
}

TEST(Synthesize, ReplacesACheckpointWithForceOnly) {
  const test::TemporaryFolder folder;
  SynthOptions options = tiny(folder.path());
  options.shards = 3;
  synthesize_checkpoint(options);
  test::write_file(folder.path() / "notes.txt", "mine");
  const auto before = files(folder.path());

  options.shards = 0;
  EXPECT_EQ(refusal<InputError>(options),
            (folder.path() / "config.json").string() + " is there already; --force replaces the checkpoint");
  fs::remove(folder.path() / "config.json");
  fs::remove(folder.path() / "generation_config.json");
  EXPECT_NE(refusal<InputError>(options).find("model-00001-of-00003.safetensors is there"),
            std::string::npos);
  test::write_file(folder.path() / "config.json", before.at("config.json"));

  options.force = true;
  synthesize_checkpoint(options);
  EXPECT_EQ(
      names(folder.path()),
      (std::vector<std::string>{"config.json", "generation_config.json", "model.safetensors", "notes.txt",
                                "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"}));
  EXPECT_NO_THROW((void)Checkpoint::open(folder.path()));

  fs::remove(folder.path() / "tokenizer.json");
  fs::create_directory(folder.path() / "tokenizer.json");
  EXPECT_NE(refusal<InputError>(options).find("a folder is there"), std::string::npos);
}

TEST(Synthesize, CopiesATokenizer) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.path() / "given.json";
  const std::string text = byte_tokenizer_json(312) + "\n\n";
  test::write_file(file, text);
  SynthOptions options = tiny(folder.path() / "x");
  options.tokenizer = file;
  synthesize_checkpoint(options);
  EXPECT_EQ(test::read_file(folder.path() / "x" / "tokenizer.json"), text);

  options.out = folder.path() / "y";
  options.tokenizer = test::demo_checkpoint() / "tokenizer.json";
  EXPECT_NE(refusal<InputError>(options).find("config.json says 312"), std::string::npos);
  options.tokenizer = folder.path() / "none.json";
  EXPECT_NE(refusal<InputError>(options).find("none.json"), std::string::npos);
  test::write_file(file, "");
  options.tokenizer = file;
  EXPECT_NE(refusal<InputError>(options).find("given.json"), std::string::npos);
  EXPECT_FALSE(fs::exists(options.out));
}

TEST(Synthesize, RefusesWrongOptions) {
  const test::TemporaryFolder folder;
  SynthOptions options = tiny(folder.path() / "x");
  options.preset = "1b";
  EXPECT_NE(refusal<UsageError>(options).find("72b"), std::string::npos);
  options = tiny(folder.path() / "x");
  options.shards = 93;
  EXPECT_EQ(refusal<UsageError>(options), "93 shards; 1 to 92 can be made of 92 tensors");
  options = tiny(folder.path() / "x");
  options.dtype = DType::i32;
  EXPECT_NE(refusal<UsageError>(options).find("I32"), std::string::npos);
  test::write_file(folder.path() / "file", "");
  EXPECT_NE(refusal<InputError>(tiny(folder.path() / "file")).find("cannot be a folder"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder.path() / "x"));
}

// Cancels after some bytes, and counts them.
class CancellingProgress : public Progress {
 public:
  explicit CancellingProgress(std::uint64_t limit) : limit_(limit) {}
  void begin(std::string_view, std::uint64_t total_bytes) override { total_ = total_bytes; }
  void advance(std::uint64_t bytes) override {
    done_ += bytes;
    if (done_ >= limit_) cancel_.cancel();
  }
  void end() override {}

  std::uint64_t limit_;
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
  CancelToken cancel_;
};

TEST(Synthesize, LeavesNothingWhenInterrupted) {
  const test::TemporaryFolder folder;
  SynthOptions options = tiny(folder.path() / "a" / "b");
  options.shards = 2;
  CancellingProgress early(500'000);
  options.progress = &early;
  options.cancel = &early.cancel_;
  EXPECT_THROW(synthesize_checkpoint(options), Interrupted);
  EXPECT_LT(early.done_, early.total_);
  EXPECT_FALSE(fs::exists(folder.path() / "a"));

  CancellingProgress never(1'000'000'000);
  options.progress = &never;
  options.cancel = &never.cancel_;
  synthesize_checkpoint(options);
  EXPECT_EQ(never.done_, never.total_);

  // What was there stays.
  const auto before = files(options.out);
  options.seed = 5;
  options.force = true;
  CancellingProgress late(1'000'000);
  options.progress = &late;
  options.cancel = &late.cancel_;
  EXPECT_THROW(synthesize_checkpoint(options), Interrupted);
  EXPECT_EQ(files(options.out), before);
}

}  // namespace
}  // namespace qvl
