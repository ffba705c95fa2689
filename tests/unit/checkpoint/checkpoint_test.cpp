#include "checkpoint/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "safetensors_bytes.h"
#include "support/error_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using test::contains;
using test::input_error;
using test::json_object;
using test::safetensors_bytes;
using test::tensor_json;

// A folder with a valid config.json and whatever else a test puts there.
class CheckpointFolder : public testing::Test {
 protected:
  CheckpointFolder() {
    fs::copy_file(test::data("checkpoints/tiny-sharded/config.json"), folder_.path() / "config.json");
  }
  void write(const std::string& name, const std::string& bytes) const {
    test::write_file(folder_.path() / name, bytes);
  }
  void write_index(const Json& weight_map) const {
    write("model.safetensors.index.json", Json{{"weight_map", weight_map}}.dump());
  }
  // A file of tensors of one byte each.
  void write_tensors(const std::string& file, const std::vector<std::string>& names) const {
    std::vector<std::string> members;
    for (std::size_t i = 0; i < names.size(); ++i)
      members.push_back(tensor_json(names[i], "U8", "[1]", i, i + 1));
    write(file, safetensors_bytes(json_object(members), names.size()));
  }
  [[nodiscard]] Checkpoint open() const { return Checkpoint::open(folder_.path()); }
  [[nodiscard]] std::string error() const {
    return input_error([&] { (void)open(); });
  }

  test::TemporaryFolder folder_;
};

TEST(TensorName, BothLayoutsGetTheHubsNames) {
  EXPECT_EQ(canonical_tensor_name("model.language_model.layers.3.mlp.up_proj.weight"),
            "model.layers.3.mlp.up_proj.weight");
  EXPECT_EQ(canonical_tensor_name("model.language_model.embed_tokens.weight"), "model.embed_tokens.weight");
  EXPECT_EQ(canonical_tensor_name("model.visual.blocks.0.attn.qkv.bias"), "visual.blocks.0.attn.qkv.bias");
  for (const char* name : {"model.layers.3.mlp.up_proj.weight", "visual.merger.ln_q.weight", "lm_head.weight",
                           "model.norm.weight", "model.visual_x.weight", "other", ""}) {
    EXPECT_EQ(canonical_tensor_name(name), name);
  }
}

TEST(Checkpoint, OpensOneFile) {
  const Checkpoint checkpoint = Checkpoint::open(test::data("checkpoints/tiny-tied"));
  EXPECT_EQ(checkpoint.folder(), test::data("checkpoints/tiny-tied"));
  const TensorView embedding = checkpoint.view("model.embed_tokens.weight");
  EXPECT_EQ(embedding.dtype, DType::f32);
  EXPECT_EQ(embedding.shape, (Shape{800, 64}));
  EXPECT_EQ(checkpoint.find("lm_head.weight"), nullptr);
  EXPECT_NE(checkpoint.find("visual.patch_embed.proj.weight"), nullptr);
  EXPECT_TRUE(checkpoint.unindexed().empty());
  const std::vector<std::string> names = checkpoint.names();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (const std::string& name : names) {
    EXPECT_FALSE(name.starts_with("model.language_model.") || name.starts_with("model.visual.")) << name;
  }
}

TEST(Checkpoint, OpensTheDemo) {
  const Checkpoint checkpoint = Checkpoint::open(test::demo_checkpoint());
  EXPECT_EQ(checkpoint.view("model.layers.3.self_attn.q_proj.weight").shape, (Shape{192, 192}));
  EXPECT_EQ(checkpoint.view("visual.blocks.0.attn.qkv.weight").dtype, DType::bf16);
}

TEST(Checkpoint, OpensShards) {
  const Checkpoint checkpoint = Checkpoint::open(test::data("checkpoints/tiny-sharded"));
  const Json index =
      Json::parse(test::read_file(test::data("checkpoints/tiny-sharded/model.safetensors.index.json")));
  EXPECT_EQ(checkpoint.names().size(), index["weight_map"].size());
  EXPECT_EQ(checkpoint.size_bytes(), index["metadata"]["total_size"]);
  for (const auto& [name, shard] : index["weight_map"].items()) {
    const SafetensorsFile file(test::data("checkpoints/tiny-sharded") / shard.get<std::string>());
    EXPECT_TRUE(std::ranges::equal(checkpoint.view(name).bytes, file.tensor(name).bytes)) << name;
  }
  EXPECT_TRUE(checkpoint.unindexed().empty());
}

TEST(Checkpoint, ReadsPartsOfATensor) {
  Checkpoint opened = Checkpoint::open(test::data("checkpoints/tiny-sharded"));
  const Checkpoint checkpoint = std::move(opened);
  const TensorView view = checkpoint.view("model.embed_tokens.weight");
  std::vector<std::byte> part(1000);
  checkpoint.read("model.embed_tokens.weight", view.bytes.size() - part.size(), part);
  EXPECT_TRUE(std::ranges::equal(part, view.bytes.last(part.size())));
  EXPECT_THROW(checkpoint.read("model.embed_tokens.weight", view.bytes.size() - 999, part), UsageError);
  EXPECT_TRUE(contains(input_error([&] { (void)checkpoint.view("nothing"); }), "has no tensor \"nothing\""));
  EXPECT_TRUE(
      contains(input_error([&] { checkpoint.read("nothing", 0, part); }), "has no tensor \"nothing\""));
}

// A file that is cut short while it is open is an error, not a crash.
TEST_F(CheckpointFolder, ReadsOfAFileThatBecameShorterFail) {
  write_tensors("model.safetensors", {"a", "b"});
  const Checkpoint checkpoint = open();
  const fs::path file = folder_.path() / "model.safetensors";
  fs::resize_file(file, fs::file_size(file) - 1);
  std::vector<std::byte> byte(1);
  checkpoint.read("a", 0, byte);
  EXPECT_TRUE(contains(input_error([&] { checkpoint.read("b", 0, byte); }), "when it was opened"));
}

TEST_F(CheckpointFolder, NeedsWeights) {
  EXPECT_TRUE(contains(error(), "neither model.safetensors nor model.safetensors.index.json"));
  write("model.safetensors", "");
  EXPECT_TRUE(contains(error(), "not a valid safetensors file"));
}

// What `git clone` leaves where git-lfs is not installed, in every place that is read.
TEST_F(CheckpointFolder, NamesGitLfsPointers) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, 'a') +
      "\nsize 7508272144\n";
  write("model.safetensors", pointer);
  EXPECT_TRUE(contains(error(), (folder_.path() / "model.safetensors").string() +
                                    " is a git-lfs pointer, not the file itself: run `git lfs pull`"))
      << error();
}

TEST_F(CheckpointFolder, TakesNamesOfTransformers5) {
  write_tensors("model.safetensors", {"model.language_model.norm.weight", "model.visual.merger.ln_q.weight"});
  const Checkpoint checkpoint = open();
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"model.norm.weight", "visual.merger.ln_q.weight"}));
  EXPECT_EQ(checkpoint.find("model.norm.weight")->name, "model.language_model.norm.weight");
  EXPECT_EQ(checkpoint.view("visual.merger.ln_q.weight").bytes[0], std::byte{1});
  EXPECT_EQ(checkpoint.find("model.language_model.norm.weight"), nullptr);
}

TEST_F(CheckpointFolder, RefusesTwoNamesOfOneTensor) {
  write_tensors("model.safetensors", {"model.language_model.norm.weight", "model.norm.weight"});
  EXPECT_TRUE(contains(error(), "are two names of one tensor")) << error();
}

TEST_F(CheckpointFolder, TheSingleFileGoesBeforeAnIndex) {
  write_tensors("model.safetensors", {"a"});
  write_index({{"b", "none.safetensors"}});
  EXPECT_EQ(open().names(), std::vector<std::string>{"a"});
}

TEST_F(CheckpointFolder, RefusesShardsOutsideTheFolder) {
  write_tensors("ok.safetensors", {"a"});
  const std::string outside =
      (test::data("checkpoints/tiny-sharded") / "model-00001-of-00003.safetensors").string();
  for (const std::string& shard :
       {std::string("../x.safetensors"), outside, std::string("sub/x"), std::string(".."), std::string("."),
        std::string(), std::string("a\\b"), std::string("a\0b", 3)}) {
    write_index({{"a", "ok.safetensors"}, {"b", shard}});
    EXPECT_TRUE(contains(error(), "is not the name of a file in the folder")) << shard << ": " << error();
  }
}

TEST_F(CheckpointFolder, RefusesABrokenIndex) {
  for (const char* index :
       {"{}", "[]", R"({"weight_map": []})", R"({"weight_map": {}})", R"({"weight_map": null})"}) {
    write("model.safetensors.index.json", index);
    EXPECT_TRUE(contains(error(), "weight_map is missing or empty")) << index;
  }
  write_index({{"a", 5}});
  EXPECT_TRUE(contains(error(), "weight_map: \"a\" is 5; a file name is expected")) << error();
  write("model.safetensors.index.json", "{");
  EXPECT_TRUE(contains(error(), "not valid JSON"));
}

TEST_F(CheckpointFolder, ReportsAllMissingShardsAndTensors) {
  write_index({{"a", "1.safetensors"}, {"b", "2.safetensors"}});
  EXPECT_TRUE(contains(error(), "shard \"1.safetensors\" is not in the folder")) << error();
  EXPECT_TRUE(contains(error(), "shard \"2.safetensors\" is not in the folder")) << error();
  write_tensors("1.safetensors", {"x"});
  write_tensors("2.safetensors", {"y"});
  EXPECT_TRUE(contains(error(), "tensor \"a\" is not in shard \"1.safetensors\"")) << error();
  EXPECT_TRUE(contains(error(), "tensor \"b\" is not in shard \"2.safetensors\"")) << error();
}

TEST_F(CheckpointFolder, ListsWhatTheIndexDoesNotPlaceThere) {
  write_tensors("1.safetensors", {"a", "extra"});
  write_tensors("2.safetensors", {"b", "a"});
  write_index({{"a", "1.safetensors"}, {"b", "2.safetensors"}});
  const Checkpoint checkpoint = open();
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(checkpoint.size_bytes(), 2U);
  ASSERT_EQ(checkpoint.unindexed().size(), 2U);
  EXPECT_EQ(checkpoint.unindexed()[0].name, "extra");
  EXPECT_EQ(checkpoint.unindexed()[0].shard, "1.safetensors");
  EXPECT_EQ(checkpoint.unindexed()[1].name, "a");
  EXPECT_EQ(checkpoint.unindexed()[1].shard, "2.safetensors");
}

TEST_F(CheckpointFolder, NamesTheTruncatedShard) {
  for (const char* name : {"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                           "model-00003-of-00003.safetensors", "model.safetensors.index.json"}) {
    fs::copy_file(test::data("checkpoints/tiny-sharded") / name, folder_.path() / name);
  }
  EXPECT_EQ(error(), "");
  fs::permissions(folder_.path() / "model-00002-of-00003.safetensors", fs::perms::owner_all);
  fs::resize_file(folder_.path() / "model-00002-of-00003.safetensors", 100000);
  EXPECT_TRUE(contains(error(), "model-00002-of-00003.safetensors")) << error();
  EXPECT_TRUE(contains(error(), "cut off")) << error();
}

}  // namespace
}  // namespace qvl
