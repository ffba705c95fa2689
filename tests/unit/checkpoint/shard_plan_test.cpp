#include "checkpoint/shard_plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "qvl/error.h"

namespace qvl {
namespace {

TensorSpec bytes(const std::string& name, std::int64_t size) { return {name, DType::u8, {size}}; }

// The names in each file, in the order of the plan.
std::vector<std::vector<std::string>> names(const ShardPlan& plan) {
  std::vector<std::vector<std::string>> result;
  for (const ShardFile& file : plan.files) {
    auto& list = result.emplace_back();
    for (const TensorEntry& entry : file.layout.entries) list.push_back(entry.name);
  }
  return result;
}

using Names = std::vector<std::vector<std::string>>;

TEST(ShardPlan, OneFileHasTheHubsNameAndNoIndex) {
  const std::vector<TensorSpec> tensors{bytes("b", 10), bytes("a", 20)};
  const ShardPlan plan = plan_shards(tensors);
  ASSERT_EQ(plan.files.size(), 1U);
  EXPECT_EQ(plan.files[0].name, "model.safetensors");
  EXPECT_EQ(plan.index_json, "");
  EXPECT_EQ(plan.tensor_bytes, 30U);
  EXPECT_EQ(plan.file_bytes, 30 + plan.files[0].layout.header.size());
  EXPECT_EQ(names(plan), (Names{{"a", "b"}}));
  EXPECT_NE(plan.files[0].layout.header.find(R"("__metadata__":{"format":"pt"})"), std::string::npos);
}

TEST(ShardPlan, FilesAreFilledInTheOrderGiven) {
  const std::vector<TensorSpec> tensors{bytes("e", 6000), bytes("d", 3000), bytes("c", 4000),
                                        bytes("b", 20000), bytes("a", 10)};
  const ShardPlan plan = plan_shards(tensors, {.most_file_bytes = 10'000});
  EXPECT_EQ(names(plan), (Names{{"d", "e"}, {"c"}, {"b"}, {"a"}}));
  EXPECT_EQ(plan.files[1].name, "model-00002-of-00004.safetensors");
  const auto index = nlohmann::json::parse(plan.index_json);
  EXPECT_EQ(index["metadata"]["total_size"], 33010);
  EXPECT_EQ(index["weight_map"].size(), 5U);
  EXPECT_EQ(index["weight_map"]["c"], "model-00002-of-00004.safetensors");
}

// The header counts too.
TEST(ShardPlan, NoFileIsLargerThanTheLimit) {
  std::vector<TensorSpec> tensors;
  for (int i = 0; i < 200; ++i) tensors.push_back(bytes(fmt::format("a.long.name.{}", i), 500 + 7 * i));
  const ShardPlan plan = plan_shards(tensors, {.most_file_bytes = 20'000});
  EXPECT_GT(plan.files.size(), 10U);
  for (const ShardFile& file : plan.files) EXPECT_LE(file.layout.size_bytes, 20'000U);
}

TEST(ShardPlan, ACountMakesFilesOfAboutEqualSize) {
  std::vector<TensorSpec> tensors;
  for (int i = 0; i < 100; ++i) tensors.push_back(bytes(fmt::format("t{}", 100 + i), 1000 + 10 * i));
  for (const std::int64_t count : {2, 3, 7}) {
    const ShardPlan plan = plan_shards(tensors, {.files = count});
    ASSERT_EQ(plan.files.size(), static_cast<std::size_t>(count));
    for (const ShardFile& file : plan.files) {
      const auto size = static_cast<double>(file.layout.size_bytes - file.layout.header.size());
      EXPECT_NEAR(size, static_cast<double>(plan.tensor_bytes) / static_cast<double>(count), 1500);
    }
  }
  // Every file has a tensor, wherever the bytes lie.
  const std::vector<TensorSpec> front{bytes("a", 1000), bytes("b", 1), bytes("c", 1)};
  EXPECT_EQ(names(plan_shards(front, {.files = 3})), (Names{{"a"}, {"b"}, {"c"}}));
  const std::vector<TensorSpec> back{bytes("a", 1), bytes("b", 1), bytes("c", 1000)};
  EXPECT_EQ(names(plan_shards(back, {.files = 2})), (Names{{"a", "b"}, {"c"}}));
  EXPECT_EQ(names(plan_shards(back, {.files = 3})), (Names{{"a"}, {"b"}, {"c"}}));
  EXPECT_EQ(plan_shards(back, {.files = 1}).files[0].name, "model.safetensors");
}

TEST(ShardPlan, RefusesWhatCannotBe) {
  const std::vector<TensorSpec> tensors{bytes("a", 1), bytes("b", 1)};
  EXPECT_THROW((void)plan_shards(tensors, {.files = 3}), UsageError);
  EXPECT_THROW((void)plan_shards(tensors, {.files = -1}), UsageError);
  EXPECT_THROW((void)plan_shards(std::vector<TensorSpec>{bytes("a", -1)}), UsageError);
  EXPECT_THROW((void)plan_shards(std::vector<TensorSpec>{bytes("a", 1), bytes("a", 2)}), UsageError);
  const std::vector<TensorSpec> huge{{"a", DType::f32, {std::int64_t{1} << 62}}};
  EXPECT_THROW((void)plan_shards(huge), UsageError);
}

TEST(ShardPlan, KnowsTheNamesOfWeightFiles) {
  for (const char* name :
       {"model.safetensors", "model.safetensors.index.json", "model-00001-of-00030.safetensors"}) {
    EXPECT_TRUE(is_weight_file_name(name)) << name;
  }
  for (const char* name :
       {"", "config.json", "model-1-of-2.safetensors", "model-00001-of-00030.safetensors.x",
        "model-0000a-of-00030.safetensors", "other.safetensors"}) {
    EXPECT_FALSE(is_weight_file_name(name)) << name;
  }
}

}  // namespace
}  // namespace qvl
