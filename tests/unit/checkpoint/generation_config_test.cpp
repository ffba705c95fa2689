#include "checkpoint/generation_config.h"

#include <gtest/gtest.h>

#include "support/error_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::contains;
using test::input_error;

constexpr const char* kConfig = R"({"eos_token_id": 5, "bos_token_id": 6, "pad_token_id": 7})";

GenerationConfig parse(std::string_view generation, std::string_view config = kConfig) {
  return parse_generation_config(generation, "generation_config.json", config, "config.json");
}
std::string error_of(std::string_view generation, std::string_view config = kConfig) {
  return input_error([&] { (void)parse(generation, config); });
}

TEST(GenerationConfig, ReadsTheCheckpoints) {
  GenerationConfig expected;
  expected.eos_token_ids = {761, 759};
  expected.bos_token_id = 759;
  expected.pad_token_id = 759;
  EXPECT_EQ(read_generation_config(test::data("checkpoints/tiny-tied")), expected);

  expected.max_new_tokens = 256;
  EXPECT_EQ(read_generation_config(test::demo_checkpoint()), expected);
}

// What vLLM and older configs write for "off", and what no program can mean: qvl samples nothing.
TEST(GenerationConfig, NumbersThatAreNeverUsedDoNotBlock) {
  for (const char* unused :
       {R"("top_k": -1)", R"("top_k": 50.0)", R"("temperature": -1)", R"("top_p": 1.5)", R"("do_sample": 1)",
        R"("repetition_penalty": 0)", R"("pad_token_id": -1)", R"("pad_token_id": [7])",
        R"("bos_token_id": 1.5)", R"("bos_token_id": "x")", R"("bos_token_id": 99999999999)"}) {
    const GenerationConfig config =
        parse(std::string(R"({"eos_token_id": 1, "max_new_tokens": 9, )") + unused + "}");
    EXPECT_EQ(config.eos_token_ids, std::vector<std::int64_t>{1}) << unused;
    EXPECT_EQ(config.max_new_tokens, 9) << unused;
    EXPECT_EQ(config.bos_token_id, 6) << unused;  // config.json's
    EXPECT_EQ(config.pad_token_id, 7) << unused;
  }
  EXPECT_EQ(parse(R"({"eos_token_id": 1})", R"({"pad_token_id": -1})").pad_token_id, std::nullopt);
}

TEST(GenerationConfig, FallsBackToConfigJson) {
  for (const char* generation :
       {"", "{}", R"({"eos_token_id": null, "bos_token_id": null})", R"({"eos_token_id": []})"}) {
    const GenerationConfig config = parse(generation);
    EXPECT_EQ(config.eos_token_ids, std::vector<std::int64_t>{5}) << generation;
    EXPECT_EQ(config.bos_token_id, 6) << generation;
    EXPECT_EQ(config.pad_token_id, 7) << generation;
  }
  EXPECT_EQ(parse("", R"({"text_config": {"eos_token_id": [8, 9], "pad_token_id": null}})").eos_token_ids,
            (std::vector<std::int64_t>{8, 9}));
}

TEST(GenerationConfig, ReadsAFolderWithoutTheFile) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "config.json", kConfig);
  EXPECT_EQ(read_generation_config(folder.path()).eos_token_ids, std::vector<std::int64_t>{5});
  test::write_file(folder.path() / "generation_config.json", "");
  EXPECT_TRUE(
      contains(input_error([&] { (void)read_generation_config(folder.path()); }), "generation_config.json"));
}

TEST(GenerationConfig, RefusesNonsense) {
  EXPECT_TRUE(contains(error_of("", "{}"), "eos_token_id is missing"));
  EXPECT_TRUE(contains(error_of(R"({"eos_token_id": -1})"), "eos_token_id is -1"));
  EXPECT_TRUE(contains(error_of(R"({"eos_token_id": [1, "x"]})"), "eos_token_id[1] is \"x\""));
  EXPECT_TRUE(contains(error_of("", R"({"eos_token_id": "x"})"), "config.json:\n  eos_token_id is \"x\""));
  EXPECT_TRUE(contains(error_of(R"({"max_new_tokens": 0})"), "max_new_tokens is 0"));
  EXPECT_TRUE(contains(error_of("[]"), "an object is expected"));
  EXPECT_TRUE(contains(error_of("{"), "generation_config.json"));
  EXPECT_TRUE(contains(error_of("{}", "{"), "config.json"));
}

}  // namespace
}  // namespace qvl
