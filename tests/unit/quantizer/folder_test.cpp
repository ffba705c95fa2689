// Quantized model folders: what is in them, and that the engine answers from them.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/json_text.h"
#include "core/sha256.h"
#include "folder/artifact_names.h"
#include "folder/manifest.h"
#include "folder/model_folder.h"
#include "quant/quant_plan.h"
#include "quantizer/quantized_export.h"
#include "qvl/engine.h"
#include "qvl/quantize.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// The smallest checkpoint, exported once.
class QuantizedFolder : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::TemporaryFolder;
    ExportOptions options;
    options.checkpoint = test::data("checkpoints/tiny-tied");
    options.out = folder_->path() / "plain";
    options.image_width_pixels = options.image_height_pixels = 56;
    (void)export_checkpoint(options);
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  static fs::path plain() { return folder_->path() / "plain"; }
  static QuantizeOptions options(const std::string& name) {
    QuantizeOptions options;
    options.model = plain();
    options.out = folder_->path() / name;
    return options;
  }
  static std::string write_plan(const std::string& name, const std::string& text) {
    test::write_file(folder_->path() / name, text);
    return (folder_->path() / name).string();
  }
  // Every file with its bytes.
  static std::map<std::string, std::string> files_of(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder))
      files[entry.path().filename().string()] = test::read_file(entry.path());
    return files;
  }
  static std::vector<std::int64_t> answer(const fs::path& folder, bool low_memory = false) {
    EngineOptions engine;
    engine.folder = folder;
    engine.low_memory = low_memory;
    engine.threads = 1;
    Question question;
    question.prompt = "What is it?";
    question.pictures = {test::data("images/photo-84x28.png")};
    question.max_new_tokens = 3;
    return Engine(engine).ask(question).ids;
  }
  template <class Failure>
  static std::string error_of(const QuantizeOptions& options) {
    try {
      (void)quantize_model(options);
    } catch (const Failure& failure) {
      EXPECT_FALSE(fs::exists(options.out)) << "something was left behind";
      return failure.what();
    }
    return "no error";
  }

  static test::TemporaryFolder* folder_;
};
test::TemporaryFolder* QuantizedFolder::folder_ = nullptr;

TEST_F(QuantizedFolder, AnswersAsBefore) {
  QuantizeOptions all = options("int8");
  all.format = "int8:16";
  all.embedding = "int8:16";
  const QuantizeResult result = quantize_model(all);
  ASSERT_EQ(result.files.size(), 3U);
  for (const QuantizedFile& file : result.files) {
    EXPECT_EQ(file.quantized, file.units);
    EXPECT_LT(file.bytes_after, file.bytes_before);
  }
  EXPECT_EQ(answer(all.out), answer(plain()));
}

// Else a model would be loaded whose copies do not fit, and the system would end the program.
TEST_F(QuantizedFolder, UnpackedWeightsCountForWhatLoadingTakes) {
  QuantizeOptions wanted = options("unpacked");
  wanted.format = "int8:32";
  const QuantizeResult result = quantize_model(wanted);
  const ModelFolder folder(wanted.out);
  for (const ManifestArtifact& artifact : read_manifest(wanted.out).artifacts) {
    const auto file = std::ranges::find(result.files, artifact.file, &QuantizedFile::file);
    ASSERT_NE(file, result.files.end());
    EXPECT_GT(artifact.unpacked_bytes, 0U);
    EXPECT_EQ(artifact.unpacked_bytes, file->unpacked_bytes);
    const std::uint64_t stored =
        artifact.artifact == "vision" ? artifact.data_bytes : 2 * artifact.data_bytes;
    EXPECT_EQ(folder.f32_weights_bytes(artifact.artifact), stored + artifact.unpacked_bytes);
  }
  EXPECT_EQ(answer(wanted.out, true), answer(wanted.out));
}

TEST_F(QuantizedFolder, ManifestTellsFormatsAndErrors) {
  QuantizeOptions some = options("some");
  some.plan =
      write_plan("some.json", R"({"format": 1, "units": [{"name": "/model/layers.*", "format": "int4:16"},
      {"name": "*o_proj*", "format": "keep"}, {"name": "*down_proj*", "format": "int8"}]})");
  (void)quantize_model(some);
  const Manifest manifest = read_manifest(some.out);
  EXPECT_EQ(QuantPlan::parse(manifest.plan, "manifest").entries.size(), 3U);
  std::map<std::string, TensorReport> tensors;
  for (const ManifestArtifact& artifact : manifest.artifacts) {
    if (artifact.artifact != "text") continue;
    for (const TensorReport& tensor : artifact.tensors) tensors[tensor.name] = tensor;
  }
  const auto quantization = [&](const std::string& name) { return tensors.at(name).quantization; };
  EXPECT_FALSE(quantization("model.layers.0.self_attn.o_proj.weight"));
  EXPECT_EQ(quantization("model.layers.1.mlp.down_proj.weight.quantized")->format, "int8");
  const auto q = quantization("model.layers.0.self_attn.q_proj.weight.quantized");
  EXPECT_EQ(q->format, "int4:16");
  EXPECT_GT(q->relative_error, 0.02);
  EXPECT_LT(q->relative_error, 0.2);
  EXPECT_FALSE(tensors.contains("model.layers.0.self_attn.q_proj.weight"));
}

TEST_F(QuantizedFolder, TiedTableAndHeadAreStoredOnce) {
  ExportOptions shared;
  shared.checkpoint = test::data("checkpoints/tiny-tied");
  shared.out = folder_->path() / "shared";
  shared.image_width_pixels = shared.image_height_pixels = 56;
  shared.tied_head = true;
  (void)export_checkpoint(shared);
  const auto data_bytes = [](const fs::path& folder) {
    for (const ManifestArtifact& artifact : read_manifest(folder).artifacts) {
      if (artifact.artifact == "text") return artifact.data_bytes;
    }
    return std::uint64_t{0};
  };
  const Json config = read_json_file(shared.out / "config.json");
  const std::uint64_t table = config.at("text_config").at("vocab_size").get<std::uint64_t>() *
                              config.at("text_config").at("hidden_size").get<std::uint64_t>();
  for (const auto& [format, bits] : {std::pair("int4:32", 4U), std::pair("int8:32", 8U)}) {
    QuantizeOptions both = options("both");
    both.model = shared.out;
    both.format = format;
    both.units = "*lm_head*";
    both.embedding = format;
    both.out += both.format;
    (void)quantize_model(both);
    QuantizeOptions head = options("head");
    head.model = shared.out;
    head.format = format;
    head.units = "*lm_head*";
    head.out += head.format;
    (void)quantize_model(head);
    // Without the f16 table, and with one set of numbers and scales instead.
    EXPECT_LT(data_bytes(both.out),
              data_bytes(shared.out) - 2 * table + table * bits / 8 + table / 32 * 2 + 3 * 4096);
    // The table stays for the embedding.
    EXPECT_GE(data_bytes(head.out), data_bytes(both.out) + 2 * table);
    EXPECT_EQ(read_manifest(both.out).artifacts.at(1).tied_head, TiedHead::shared);
    const std::vector<std::int64_t> found = answer(both.out);
    if (bits == 8) {
      EXPECT_EQ(found, answer(shared.out));
    } else {
      EXPECT_EQ(found.size(), 3U);
    }
  }
}

// Equal data, made once: as files of their own, or as one file with two names.
TEST_F(QuantizedFolder, TextArtifactsHaveEqualData) {
  for (const bool linked : {false, true}) {
    QuantizeOptions all = options(linked ? "linked" : "own files");
    all.format = "int4:32";
    all.hard_link = linked;
    (void)quantize_model(all);
    std::vector<ManifestArtifact> text;
    for (ManifestArtifact& artifact : read_manifest(all.out).artifacts) {
      if (artifact.artifact != "vision") text.push_back(std::move(artifact));
    }
    ASSERT_EQ(text.size(), 2U);
    EXPECT_EQ(text[0].data_sha256, text[1].data_sha256);
    for (const ManifestArtifact& artifact : text)
      EXPECT_EQ(sha256_of_file(all.out / artifact.data_file), artifact.data_sha256);
    EXPECT_EQ(fs::equivalent(all.out / text[0].data_file, all.out / text[1].data_file), linked);
  }
}

TEST_F(QuantizedFolder, IsTheSameForAnyNumberOfThreadsAndAnotherForAnotherPlan) {
  QuantizeOptions one = options("one");
  one.format = "int4:32";
  one.threads = 1;
  (void)quantize_model(one);
  QuantizeOptions five = options("five");
  five.format = "int4:32";
  five.threads = 5;
  (void)quantize_model(five);
  const auto files = files_of(one.out);
  EXPECT_EQ(files, files_of(five.out));
  QuantizeOptions level = options("level");
  level.format = "int4:32";
  level.accuracy_level = 4;
  (void)quantize_model(level);
  for (const auto& [name, bytes] : files_of(level.out)) {
    if (name.ends_with(".onnx")) {
      EXPECT_NE(bytes, files.at(name)) << name;
    }
  }
}

// The files that exporting and then quantizing gives, byte for byte.
TEST_F(QuantizedFolder, ComesFromACheckpointInOneStep) {
  const std::string plan = write_plan("step.json", R"({"format": 1, "embedding": "int8:16", "units": [
      {"name": "*mlp*", "format": "int4:16"}, {"name": "*lm_head*", "format": "int8:16"},
      {"name": "*layers.1*down_proj*", "format": "int8-dynamic", "algorithm": "nearest"},
      {"name": "*q_proj*", "format": "int4:32", "algorithm": "least-squares"}]})");
  QuantizeOptions two = options("two steps");
  two.plan = plan;
  (void)quantize_model(two);
  ExportOptions one;
  one.checkpoint = test::data("checkpoints/tiny-tied");
  one.out = folder_->path() / "one step";
  one.image_width_pixels = one.image_height_pixels = 56;
  const QuantizeResult result = export_quantized(one, plan);
  ASSERT_EQ(result.files.size(), 3U);
  const auto expected = files_of(two.out);
  const auto found = files_of(one.out);
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, bytes] : expected) EXPECT_TRUE(found.at(name) == bytes) << name;
  EXPECT_THROW((void)export_quantized(one, plan), InputError);  // nothing is replaced unasked
}

// What is asked room for before the first byte is written.
TEST_F(QuantizedFolder, OfACheckpointHasTheEstimatedSizes) {
  const std::string plan =
      write_plan("sizes.json", R"({"format": 1, "units": [{"name": "*mlp*", "format": "int4:16"}]})");
  ExportOptions options;
  options.checkpoint = test::data("checkpoints/tiny-tied");
  options.out = folder_->path() / "sizes";
  options.image_width_pixels = options.image_height_pixels = 56;
  options.hard_link = true;
  QuantizedExport quantized(options, plan);
  const ExportEstimate estimate = quantized.estimate();
  EXPECT_FALSE(fs::exists(options.out));
  (void)quantized.run();
  const auto files = files_of(options.out);
  ASSERT_EQ(estimate.files.size(), files.size());
  std::uint64_t blocks = 0;
  for (const PlannedFile& file : estimate.files) {
    const std::uint64_t size = files.at(file.name).size();
    if (file.name == kManifestName) {
      EXPECT_GE(file.size_bytes, size);
      EXPECT_LT(file.size_bytes, size + size / 4);
    } else {
      EXPECT_EQ(file.size_bytes, size) << file.name;
    }
    if (file.hard_link_of.empty()) blocks += (file.size_bytes + 4095) / 4096 * 4096;
  }
  EXPECT_EQ(estimate.disk_bytes, blocks);
  EXPECT_EQ(std::ranges::count(estimate.files, "", &PlannedFile::hard_link_of),
            static_cast<std::ptrdiff_t>(files.size()) - 1);  // the second text artifact's data
  EXPECT_GT(estimate.memory_bytes, 0U);
  EXPECT_TRUE(estimate.fits());
}

TEST_F(QuantizedFolder, RefusesWhatDoesNotFit) {
  QuantizeOptions bad = options("bad");
  EXPECT_NE(error_of<UsageError>(bad).find("name a plan, or a format"), std::string::npos);
  bad.format = "int5:32";
  EXPECT_NE(error_of<UsageError>(bad).find("no format \"int5:32\""), std::string::npos);
  bad.format = "int8-static";
  EXPECT_NE(error_of<UsageError>(bad).find("--data is missing"), std::string::npos);
  bad.format.clear();
  bad.plan = write_plan("other.json", R"({"format": 1, "model": "other.onnx", "model_sha256":
      "0000000000000000000000000000000000000000000000000000000000000000", "units": [{"name": "*", "format": "int8"}]})");
  EXPECT_NE(error_of<InputError>(bad).find("the plan is for another model"), std::string::npos);
  bad.plan = write_plan("strange.json", R"({"format": 1, "units": [{"name": "/nobody", "format": "int8"}]})");
  EXPECT_NE(error_of<InputError>(bad).find("1 of 1 entries of the plan name no unit"), std::string::npos);
  bad.plan.clear();
  bad.embedding = "int4:128";  // rows of this small table are shorter
  EXPECT_NE(error_of<InputError>(bad).find("do not divide"), std::string::npos);
  bad.embedding.clear();
  bad.format = "int8";
  bad.out = plain();
  EXPECT_THROW((void)quantize_model(bad), UsageError);
  EXPECT_TRUE(fs::exists(plain() / kManifestName));
}

TEST_F(QuantizedFolder, IsReplacedOnlyWhenForced) {
  QuantizeOptions twice = options("twice");
  twice.format = "int8";
  (void)quantize_model(twice);
  const auto before = files_of(twice.out);
  twice.format = "int4:32";
  EXPECT_THROW((void)quantize_model(twice), InputError);
  EXPECT_EQ(files_of(twice.out), before);
  twice.force = true;
  (void)quantize_model(twice);
  EXPECT_NE(files_of(twice.out), before);
  // And is not quantized again.
  QuantizeOptions again = options("again");
  again.model = twice.out;
  again.format = "int8";
  EXPECT_NE(error_of<InputError>(again).find("is quantized already"), std::string::npos);
}

TEST_F(QuantizedFolder, AnInterruptedRunLeavesNothing) {
  QuantizeOptions stopped = options("stopped");
  stopped.format = "int8";
  CancelToken cancel;
  cancel.cancel();
  stopped.cancel = &cancel;
  EXPECT_THROW((void)quantize_model(stopped), Interrupted);
  EXPECT_FALSE(fs::exists(stopped.out));
}

}  // namespace
}  // namespace qvl
