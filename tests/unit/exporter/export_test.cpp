#include "qvl/export.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "checkpoint/checkpoint.h"
#include "core/disk_space.h"
#include "core/half.h"
#include "core/json_text.h"
#include "core/sha256.h"
#include "exporter/export_plan.h"
#include "exporter/export_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

ExportOptions options_for(const fs::path& out) {
  ExportOptions options;
  options.checkpoint = test::data("checkpoints/tiny-sharded");
  options.out = out;
  return options;
}

// Counted by hand from the checkpoint's bfloat16 values: below 2^-14, not zero.
std::uint64_t subnormals_of(const std::string& name) {
  const Checkpoint checkpoint = Checkpoint::open(test::data("checkpoints/tiny-sharded"));
  const TensorView view = checkpoint.view(name);
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < view.bytes.size(); i += 2) {
    BFloat16 value;
    std::memcpy(&value, view.bytes.data() + i, 2);
    const float magnitude = std::abs(to_float(value));
    count += magnitude > 0 && magnitude < kHalfMinNormal ? 1U : 0U;
  }
  return count;
}

// A copy of tiny-tied with the first values of a tensor changed.
fs::path changed_checkpoint(const fs::path& folder, const std::string& hub_name, std::vector<float> values) {
  fs::copy(test::data("checkpoints/tiny-tied"), folder);
  std::string bytes = test::read_file(folder / "model.safetensors");
  const Checkpoint checkpoint = Checkpoint::open(folder);
  std::memcpy(bytes.data() + checkpoint.find(hub_name)->begin_bytes, values.data(),
              values.size() * sizeof(float));
  test::write_file(folder / "model.safetensors", bytes);
  return folder;
}

std::vector<std::string> artifacts_in(const fs::path& folder) {
  std::vector<std::string> names;
  const Json manifest = read_json_file(folder / "manifest.json");
  for (const Json& artifact : manifest["artifacts"]) names.push_back(artifact["artifact"]);
  std::ranges::sort(names);
  return names;
}

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(Export, WritesTheContractsFiles) {
  const test::TemporaryFolder folder;
  const fs::path out = folder.path() / "out";
  const ExportResult result = export_checkpoint(options_for(out));
  ASSERT_EQ(result.artifacts.size(), 3U);
  for (const std::string name :
       {"tiny_sharded_vision_672_fp32", "tiny_sharded_text_fp16", "tiny_sharded_text_with_image_fp16"}) {
    EXPECT_TRUE(fs::is_regular_file(out / (name + ".onnx"))) << name;
    EXPECT_TRUE(fs::is_regular_file(out / (name + ".onnx_data"))) << name;
  }
  for (const std::string name :
       {"config.json", "tokenizer.json", "generation_config.json", "preprocessor_config.json"}) {
    EXPECT_EQ(test::read_file(out / name), test::read_file(test::data("checkpoints/tiny-sharded") / name))
        << name;
  }
  // Each artifact has a data file of its own.
  const fs::path text = out / "tiny_sharded_text_fp16.onnx_data";
  const fs::path pictures = out / "tiny_sharded_text_with_image_fp16.onnx_data";
  EXPECT_EQ(fs::hard_link_count(text), 1U);
  EXPECT_EQ(fs::hard_link_count(pictures), 1U);
  EXPECT_TRUE(test::read_file(text) == test::read_file(pictures));
}

TEST(Export, HardLinksDataWhenAsked) {
  const test::TemporaryFolder folder;
  ExportOptions options = options_for(folder.path());
  options.hard_link = true;
  export_checkpoint(options);
  EXPECT_TRUE(fs::equivalent(folder.path() / "tiny_sharded_text_fp16.onnx_data",
                             folder.path() / "tiny_sharded_text_with_image_fp16.onnx_data"));
}

void expect_exact(const ExportOptions& options) {
  const ExportEstimate estimate = estimate_export(options);
  export_checkpoint(options);
  std::set<std::string> expected;
  std::uint64_t blocks = 0;
  for (const PlannedFile& file : estimate.files) {
    expected.insert(file.name);
    const fs::path place = options.out / file.name;
    EXPECT_EQ(fs::file_size(place), file.size_bytes) << file.name;
    if (!file.hard_link_of.empty()) {
      EXPECT_TRUE(fs::equivalent(place, options.out / file.hard_link_of));
    } else if (!file.shares_blocks_with.empty()) {
      EXPECT_TRUE(can_share_blocks(options.out));
      EXPECT_TRUE(test::read_file(place) == test::read_file(options.out / file.shares_blocks_with));
    } else {
      blocks += (file.size_bytes + 4095) / 4096 * 4096;
    }
  }
  for (const auto& entry : fs::directory_iterator(options.out)) {
    if (options.only.empty()) {
      EXPECT_TRUE(expected.contains(entry.path().filename().string())) << entry.path();
    }
  }
  EXPECT_EQ(estimate.disk_bytes, blocks);
  EXPECT_TRUE(estimate.fits());
}

TEST(Export, EstimateKnowsEveryFilesExactSize) {
  const test::TemporaryFolder folder;
  ExportOptions options = options_for(folder.path() / "out");
  expect_exact(options);
  options.out = folder.path() / "linked";
  options.hard_link = true;
  options.text_in_f32 = true;
  options.image_width_pixels = 252;
  expect_exact(options);
  // Into a folder that has one artifact: its entry stays in the manifest.
  options.out = folder.path() / "one";
  options.only = {"vision"};
  expect_exact(options);
  options.only = {"text"};
  expect_exact(options);
  EXPECT_EQ(artifacts_in(options.out), (std::vector<std::string>{"text", "vision"}));
}

TEST(Export, EstimateWritesNothing) {
  const test::TemporaryFolder folder;
  (void)estimate_export(options_for(folder.path() / "out"));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

// Without a folder to write to, what lies in the current one is nobody's business.
TEST(Export, EstimateWithoutAFolderDoesNotLookAtTheCurrentOne) {
  const test::TemporaryFolder folder;
  ExportOptions options = options_for(folder.path() / "out");
  const std::uint64_t manifest_bytes = estimate_export(options).files.back().size_bytes;
  options.only = {"vision"};
  export_checkpoint(options);
  const fs::path before = fs::current_path();
  fs::current_path(options.out);
  for (const std::string& manifest : {test::read_file(options.out / "manifest.json"), std::string("{}")}) {
    test::write_file("manifest.json", manifest);
    ExportOptions no_folder = options_for("");
    EXPECT_EQ(estimate_export(no_folder).files.back().size_bytes, manifest_bytes);
    no_folder.only = {"text"};
    EXPECT_LT(estimate_export(no_folder).files.back().size_bytes, manifest_bytes / 2);
  }
  fs::current_path(before);
}

// An export removes them before it asks for room, so that a dry run counts them as free.
TEST(Export, EstimateCountsLeftoversAsFree) {
  const test::TemporaryFolder folder;
  const fs::path left = folder.path() / ".qvl-partial-abcdef";
  fs::create_directory(left);
  const int fd = ::open((left / "data").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  ASSERT_GE(fd, 0);
  constexpr std::uint64_t kBytes = std::uint64_t{256} << 20U;  // more than others write meanwhile
  if (::posix_fallocate(fd, 0, kBytes) != 0) GTEST_SKIP() << "no room for a file of 256 MiB";
  ::close(fd);
  const std::uint64_t free_now = fs::space(folder.path()).available;
  const ExportEstimate estimate = estimate_export(options_for(folder.path()));
  EXPECT_GT(estimate.disk_available_bytes.value(), free_now + kBytes / 2);
  EXPECT_TRUE(fs::exists(left));
}

TEST(Export, EstimateSaysWhatDoesNotFit) {
  ExportEstimate estimate;
  estimate.files = {{"a.onnx_data", 5000, "", ""},
                    {"b.onnx_data", 5000, "a.onnx_data", ""},
                    {"c.onnx_data", 5000, "", "a.onnx_data"}};
  estimate.disk_bytes = 8192;
  estimate.disk_available_bytes = 8191;
  estimate.memory_bytes = 100;
  EXPECT_FALSE(estimate.fits());
  const std::string table = to_table(estimate);
  EXPECT_NE(table.find("b.onnx_data            5000  hard link of a.onnx_data"), std::string::npos) << table;
  EXPECT_NE(table.find("c.onnx_data            5000  shares the blocks of a.onnx_data"), std::string::npos)
      << table;
  EXPECT_NE(table.find("disk: 8192 bytes (0.00 GiB) of 8191 (0.00 GiB) available: DOES NOT FIT"),
            std::string::npos)
      << table;
  EXPECT_TRUE(estimate.memory_fits());
}

TEST(Export, MemoryThatSeemsTooSmallIsRefusedUnlessForced) {
  ExportEstimate estimate;
  estimate.memory_bytes = 100;
  estimate.memory_available_bytes = 99;
  try {
    require_room(estimate, false);
    ADD_FAILURE() << "it was accepted";
  } catch (const MachineError& error) {
    EXPECT_NE(std::string(error.what()).find("--force-memory"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("peak memory: 100 bytes"), std::string::npos) << error.what();
  }
  EXPECT_NO_THROW(require_room(estimate, true));
  EXPECT_TRUE(estimate.fits(true));
  // The disk's figure is exact: nothing forces it.
  estimate.disk_bytes = 100;
  estimate.disk_available_bytes = 99;
  EXPECT_FALSE(estimate.fits(true));
  EXPECT_THROW(require_room(estimate, true), MachineError);
  estimate.memory_available_bytes.reset();
  estimate.disk_available_bytes.reset();
  EXPECT_NO_THROW(require_room(estimate, false));
}

// Files of a quantized folder are asked room for as those of a plain one are.
TEST(Export, QuantizedFilesThatDoNotFitAreRefusedUnlessForced) {
  const test::TemporaryFolder folder;
  ExportOptions options = options_for(folder.path() / "out");
  options.only = {"vision"};
  options.image_width_pixels = options.image_height_pixels = 56;
  const auto run = [&](std::uint64_t memory_bytes) {
    ExportRun export_run(options);
    Manifest planned = export_run.plan().manifest();
    planned.plan = "{}";
    export_run.run_quantized(planned, {{std::nullopt}, memory_bytes},
                             [](std::size_t index, const fs::path& place, Manifest& manifest) {
                               test::write_file(place / manifest.artifacts[index].file, "graph");
                               test::write_file(place / manifest.artifacts[index].data_file, "data");
                             });
  };
  constexpr std::uint64_t kTooMuch = std::uint64_t{1} << 60U;
  try {
    run(kTooMuch);
    ADD_FAILURE() << "it was accepted";
  } catch (const MachineError& error) {
    EXPECT_NE(std::string(error.what()).find("--force-memory"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(fs::exists(options.out));
  run(1);
  EXPECT_EQ(artifacts_in(options.out), std::vector<std::string>{"vision"});
  fs::remove_all(options.out);
  options.force_memory = true;
  run(kTooMuch);
  EXPECT_EQ(artifacts_in(options.out), std::vector<std::string>{"vision"});
}

TEST(Export, ManifestTellsChecksumsAndWhatTheConversionCost) {
  const test::TemporaryFolder folder;
  export_checkpoint(options_for(folder.path()));
  const Json manifest = read_json_file(folder.path() / "manifest.json");
  ASSERT_EQ(manifest["artifacts"].size(), 3U);
  for (const Json& artifact : manifest["artifacts"]) {
    for (const char* key : {"file", "data_file"}) {
      const auto file = artifact[key].get<std::string>();
      EXPECT_EQ(artifact["sha256"][file], sha256_of_file(folder.path() / file));
      EXPECT_EQ(artifact["bytes"][file], fs::file_size(folder.path() / file));
    }
    EXPECT_EQ(artifact["opset"], 17);
  }
  const Json& text = manifest["artifacts"][1];
  EXPECT_EQ(text["artifact"], "text");
  const auto lm_head =
      std::ranges::find_if(text["tensors"], [](const Json& t) { return t["name"] == "lm_head.weight"; });
  ASSERT_NE(lm_head, text["tensors"].end());
  EXPECT_EQ((*lm_head)["source_dtype"], "BF16");
  EXPECT_EQ((*lm_head)["dtype"], "F16");
  EXPECT_EQ((*lm_head)["transform"], "transpose");
  EXPECT_EQ((*lm_head)["shape"], Json::parse("[96, 800]"));
  EXPECT_EQ((*lm_head)["subnormal"], subnormals_of("lm_head.weight"));
  EXPECT_EQ((*lm_head)["overflowed"], 0);
}

TEST(Export, ATiedHeadHasAWeightOfItsOwnOrSharesTheTable) {
  const test::TemporaryFolder folder;
  ExportOptions options = options_for(folder.path() / "own");
  options.checkpoint = test::data("checkpoints/tiny-tied");
  options.only = {"text"};
  for (const bool shared : {false, true}) {
    options.tied_head = shared;
    if (shared) options.out = folder.path() / "shared";
    expect_exact(options);
    const Json text = read_json_file(options.out / "manifest.json")["artifacts"][0];
    EXPECT_EQ(text["tied_head"], shared);
    EXPECT_EQ(read_manifest(options.out).artifacts[0].tied_head, shared ? TiedHead::shared : TiedHead::own);
    std::map<std::string, Json> made;  // of the table of token embeddings
    for (const Json& tensor : text["tensors"]) {
      if (tensor["source"] == "model.embed_tokens.weight") made[tensor["name"]] = tensor;
    }
    ASSERT_EQ(made.size(), shared ? 1U : 2U);
    EXPECT_EQ(made["model.embed_tokens.weight"]["shape"], Json::parse("[800, 64]"));
    if (shared) continue;
    EXPECT_EQ(made["lm_head.weight"]["shape"], Json::parse("[64, 800]"));
    EXPECT_EQ(made["lm_head.weight"]["transform"], "transpose");
    // Stored as that of a checkpoint with a head of its own: element [i, j] is the table's [j, i].
    const std::string data = test::read_file(options.out / "tiny_tied_text_fp16.onnx_data");
    const auto at = [&](const char* name, std::size_t element) {
      return data.substr(made[name]["offset"].get<std::size_t>() + 2 * element, 2);
    };
    for (std::size_t row = 0; row < 800; ++row) {
      for (std::size_t column = 0; column < 64; ++column)
        ASSERT_EQ(at("lm_head.weight", column * 800 + row),
                  at("model.embed_tokens.weight", row * 64 + column));
    }
  }
}

TEST(Export, OnlyATiedHeadCanShareTheTable) {
  const test::TemporaryFolder folder;
  ExportOptions options = options_for(folder.path());  // tiny-sharded, not tied
  options.tied_head = true;
  try {
    (void)estimate_export(options);
    ADD_FAILURE() << "it was accepted";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("lm_head has a weight of its own"), std::string::npos)
        << error.what();
  }
}

TEST(Export, RefusesToReplaceWithoutForce) {
  const test::TemporaryFolder folder;
  export_checkpoint(options_for(folder.path()));
  const auto before = test::read_file(folder.path() / "manifest.json");
  ExportOptions again = options_for(folder.path());
  EXPECT_THROW(export_checkpoint(again), InputError);
  again.force = true;
  export_checkpoint(again);
  EXPECT_EQ(test::read_file(folder.path() / "manifest.json"),
            before);  // the same bytes: nothing depends on the moment
}

TEST(Export, AddsArtifactsToAFolder) {
  const test::TemporaryFolder folder;
  ExportOptions vision = options_for(folder.path());
  vision.only = {"vision"};
  vision.stem = "other";
  export_checkpoint(vision);
  ExportOptions text = options_for(folder.path());
  text.only = {"text", "text_with_image"};
  export_checkpoint(text);
  EXPECT_EQ(artifacts_in(folder.path()), (std::vector<std::string>{"text", "text_with_image", "vision"}));
}

// Two fine-tunes of one model have the same names and shapes: their artifacts must not be mixed all the same.
TEST(Export, DoesNotMixCheckpoints) {
  const test::TemporaryFolder folder;
  const fs::path out = folder.path() / "out";
  ExportOptions options = options_for(out);
  options.stem = "m";
  options.checkpoint = test::data("checkpoints/tiny-tied");
  options.only = {"vision"};
  export_checkpoint(options);
  options.checkpoint =
      changed_checkpoint(folder.path() / "tuned", "model.layers.0.mlp.up_proj.weight", {0.5F});
  options.only = {"text"};
  EXPECT_THROW(export_checkpoint(options), InputError);
  EXPECT_EQ(artifacts_in(out), (std::vector<std::string>{"vision"}));
  options.force = true;
  export_checkpoint(options);
  EXPECT_EQ(artifacts_in(out), (std::vector<std::string>{"text"}));
  EXPECT_FALSE(fs::exists(out / "m_vision_672_fp32.onnx"));
  EXPECT_FALSE(fs::exists(out / "m_vision_672_fp32.onnx_data"));
}

// A folder has one artifact of a kind: another size of it replaces the first, on demand.
TEST(Export, ReplacesAnArtifactOfAnotherSizeOnDemandOnly) {
  const test::TemporaryFolder folder;
  export_checkpoint(options_for(folder.path()));
  ExportOptions small = options_for(folder.path());
  small.only = {"vision"};
  small.image_width_pixels = small.image_height_pixels = 56;
  EXPECT_THROW(export_checkpoint(small), InputError);
  small.force = true;
  export_checkpoint(small);
  EXPECT_TRUE(fs::exists(folder.path() / "tiny_sharded_vision_56_fp32.onnx"));
  EXPECT_FALSE(fs::exists(folder.path() / "tiny_sharded_vision_672_fp32.onnx"));
  EXPECT_EQ(artifacts_in(folder.path()).size(), 3U);
}

TEST(Export, ReplacesNobodysFilesWithoutForce) {
  for (const std::string file : {"manifest.json", "config.json", "tokenizer.json"}) {
    const test::TemporaryFolder folder;
    test::write_file(folder.path() / file, "{\"mine\": true}");
    ExportOptions options = options_for(folder.path());
    EXPECT_THROW(export_checkpoint(options), InputError) << file;
    EXPECT_EQ(test::read_file(folder.path() / file), "{\"mine\": true}");
    EXPECT_EQ(entries(folder.path()), 1U);
    options.force = true;
    export_checkpoint(options);
    EXPECT_NE(test::read_file(folder.path() / file), "{\"mine\": true}");
  }
}

// What is left of another checkpoint would be read as this one's.
TEST(Export, LeavesNoConfigOfAnotherCheckpoint) {
  const test::TemporaryFolder folder;
  export_checkpoint(options_for(folder.path()));
  test::write_file(folder.path() / "special_tokens_map.json", "{}");
  ExportOptions again = options_for(folder.path());
  again.only = {"vision"};
  again.stem = "other";
  EXPECT_THROW(export_checkpoint(again), InputError);
  EXPECT_TRUE(fs::exists(folder.path() / "special_tokens_map.json"));
  again.force = true;
  export_checkpoint(again);
  EXPECT_FALSE(fs::exists(folder.path() / "special_tokens_map.json"));
}

TEST(Export, TensorThatOverflowsF16IsSaturatedAndReported) {
  const test::TemporaryFolder folder;
  ExportOptions options = options_for(folder.path() / "out");
  options.checkpoint = changed_checkpoint(folder.path() / "c", "model.layers.0.mlp.up_proj.weight",
                                          {1e9F, -70000.0F, INFINITY});
  options.only = {"text"};
  const ExportResult result = export_checkpoint(options);
  EXPECT_EQ(result.overflowed, 2U);
  EXPECT_EQ(result.not_finite, 1U);
}

// transformers 5 names tensors otherwise in memory than on the hub; saved that way, they give the same
// artifacts.
TEST(Export, TakesBothNamingLayouts) {
  const test::TemporaryFolder folder;
  const fs::path renamed = folder.path() / "renamed";
  fs::copy(test::data("checkpoints/tiny-tied"), renamed);
  const std::string bytes = test::read_file(renamed / "model.safetensors");
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data(), 8);
  const Json header = Json::parse(bytes.substr(8, size));
  Json other = Json::object();
  for (const auto& [name, entry] : header.items()) {
    std::string to = name;
    if (name.starts_with("visual.")) to = "model." + name;
    if (name.starts_with("model.")) to = "model.language_model." + name.substr(6);
    other[to] = entry;
  }
  EXPECT_TRUE(other.contains("model.language_model.norm.weight"));
  EXPECT_TRUE(other.contains("model.visual.merger.ln_q.weight"));
  const std::string text = other.dump();
  const std::uint64_t length = text.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  test::write_file(renamed / "model.safetensors", out + text + bytes.substr(8 + size));
  std::vector<std::string> manifests;
  for (const fs::path& checkpoint : {fs::path(test::data("checkpoints/tiny-tied")), renamed}) {
    ExportOptions options = options_for(folder.path() / ("out" + std::to_string(manifests.size())));
    options.checkpoint = checkpoint;
    options.stem = "m";
    export_checkpoint(options);
    const Json manifest = read_json_file(options.out / "manifest.json");
    std::string sums;
    for (const Json& artifact : manifest["artifacts"]) sums += artifact["sha256"].dump();
    manifests.push_back(sums);
  }
  EXPECT_EQ(manifests[0], manifests[1]);
}

TEST(Export, InfinitiesOfTheVisionEncoderAreReportedToo) {
  const test::TemporaryFolder folder;
  ExportOptions options = options_for(folder.path() / "out");
  options.checkpoint =
      changed_checkpoint(folder.path() / "c", "visual.merger.mlp.0.weight", {NAN, -INFINITY});
  options.only = {"vision"};
  EXPECT_EQ(export_checkpoint(options).not_finite, 2U);
}

TEST(Export, WhenCancelledLeavesNothing) {
  const test::TemporaryFolder folder;
  CancelToken cancel;
  cancel.cancel();
  ExportOptions options = options_for(folder.path() / "out");
  options.cancel = &cancel;
  EXPECT_THROW(export_checkpoint(options), Interrupted);
  EXPECT_EQ(entries(folder.path()), 0U);
}

TEST(Export, RefusesWrongOptions) {
  const test::TemporaryFolder folder;
  ExportOptions size = options_for(folder.path() / "out");
  size.image_width_pixels = 100;
  EXPECT_THROW(export_checkpoint(size), UsageError);
  size.only = {"text_with_image"};
  EXPECT_THROW(export_checkpoint(size), UsageError);
  ExportOptions stem = options_for(folder.path() / "out");
  for (const std::string bad : {"../x", ".x", "a b", "a\nb", "a\\b", "\xff"}) {
    stem.stem = bad;
    EXPECT_THROW(export_checkpoint(stem), UsageError) << bad;
  }
  stem.stem = std::string(101, 'x');
  EXPECT_THROW(export_checkpoint(stem), UsageError);
  EXPECT_EQ(entries(folder.path()), 0U);
}

}  // namespace
}  // namespace qvl
