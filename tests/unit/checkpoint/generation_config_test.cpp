#include "checkpoint/generation_config.h"

#include <gtest/gtest.h>

#include "error_text.h"
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
  expected.do_sample = true;
  expected.temperature = 1e-6;
  expected.repetition_penalty = 1.05;
  EXPECT_EQ(read_generation_config(test::data("checkpoints/tiny-tied")), expected);

  expected.do_sample = false;
  expected.max_new_tokens = 256;
  expected.temperature.reset();
  expected.repetition_penalty.reset();
  EXPECT_EQ(read_generation_config(test::demo_checkpoint()), expected);
}

TEST(GenerationConfig, ReadsEveryField) {
  const GenerationConfig config = parse(R"({"eos_token_id": 1, "top_k": 50, "top_p": 0.8, "temperature": 0.7,
                                            "do_sample": true, "repetition_penalty": 1.1, "max_new_tokens": 9})");
  EXPECT_EQ(config.eos_token_ids, std::vector<std::int64_t>{1});
  EXPECT_EQ(config.top_k, 50);
  EXPECT_EQ(config.top_p, 0.8);
  EXPECT_EQ(config.temperature, 0.7);
  EXPECT_EQ(config.do_sample, true);
  EXPECT_EQ(config.repetition_penalty, 1.1);
  EXPECT_EQ(config.max_new_tokens, 9);
}

TEST(GenerationConfig, FallsBackToConfigJson) {
  for (const char* generation :
       {"", "{}", R"({"eos_token_id": null, "bos_token_id": null})", R"({"eos_token_id": []})"}) {
    const GenerationConfig config = parse(generation);
    EXPECT_EQ(config.eos_token_ids, std::vector<std::int64_t>{5}) << generation;
    EXPECT_EQ(config.bos_token_id, 6) << generation;
    EXPECT_EQ(config.pad_token_id, 7) << generation;
    EXPECT_EQ(config.temperature, std::nullopt) << generation;
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
  const std::string error = error_of(R"({"top_p": 1.5, "top_k": -1, "temperature": -0.5, "do_sample": 1,
                                         "repetition_penalty": 0, "max_new_tokens": 0, "bos_token_id": 1.5})");
  for (const char* part : {"top_p is 1.5", "top_k is -1", "temperature is -0.5", "do_sample is 1",
                           "repetition_penalty is 0", "max_new_tokens is 0", "bos_token_id is 1.5"}) {
    EXPECT_TRUE(contains(error, part)) << error;
  }
  EXPECT_TRUE(contains(error_of("[]"), "an object is expected"));
  EXPECT_TRUE(contains(error_of("{"), "generation_config.json"));
  EXPECT_TRUE(contains(error_of("{}", "{"), "config.json"));
}

}  // namespace
}  // namespace qvl
