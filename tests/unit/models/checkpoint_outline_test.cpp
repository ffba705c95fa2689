#include "models/qwen25vl/checkpoint_outline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "checkpoint/generation_config.h"
#include "checkpoint/preprocessor_config.h"
#include "checkpoint/shard_plan.h"
#include "models/family.h"
#include "models/qwen25vl/byte_tokenizer.h"
#include "models/qwen25vl/presets.h"
#include "models/qwen25vl/published_sizes.h"
#include "qvl/error.h"
#include "support/test_data.h"
#include "text/tokenizer.h"

namespace qvl::qwen25vl {
namespace {

Preset preset(std::string_view name) { return qvl::preset(name).preset; }

using Json = nlohmann::json;

std::string text_of(const CheckpointOutline& outline, const std::string& name) {
  for (const TextFile& file : outline.files) {
    if (file.name == name) return file.text;
  }
  ADD_FAILURE() << name;
  return {};
}

std::string refusal(const Preset& shape, const OutlineOptions& options) {
  try {
    (void)outline_checkpoint(shape, options);
  } catch (const InputError& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(Preset, AreTheFilesOfTheSourceTree) {
  std::vector<std::string> names;
  for (const Preset& known : presets()) {
    names.emplace_back(known.name);
    EXPECT_EQ(known.config_json, test::read_file(test::preset_config(names.back())));
    const auto size = published_size(parse_model_config(known.config_json, known.hub_name).text);
    EXPECT_EQ(size.value_or("tiny"), known.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"tiny", "3b", "7b", "32b", "72b"}));
  EXPECT_EQ(preset("7b").hub_name, "Qwen2.5-VL-7B-Instruct");
  try {
    (void)qvl::preset("1b");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "there is no preset 1b; tiny, 3b, 7b, 32b, 72b can be had");
  }
}

struct Published {
  const char* preset;
  std::uint64_t parameters;
  std::size_t shards;  // of the bf16 checkpoint
};

class PublishedOutline : public testing::TestWithParam<Published> {};

TEST_P(PublishedOutline, EveryTensorHasItsPlaceInAShardOfAtMost5GB) {
  const CheckpointOutline outline = outline_checkpoint(preset(GetParam().preset));
  const ShardPlan plan = plan_shards(outline.tensors);
  EXPECT_EQ(plan.tensor_bytes, 2 * GetParam().parameters);
  EXPECT_EQ(plan.files.size(), GetParam().shards);
  std::set<std::string> placed;
  for (const ShardFile& file : plan.files) {
    EXPECT_LE(file.layout.size_bytes, 5'000'000'000U) << file.name;
    std::uint64_t at = file.layout.header.size();
    for (const TensorEntry& entry : file.layout.entries) {
      EXPECT_TRUE(placed.insert(entry.name).second) << entry.name;
      EXPECT_EQ(entry.begin_bytes, at);
      at = entry.end_bytes;
    }
    EXPECT_EQ(at, file.layout.size_bytes);
  }
  EXPECT_EQ(placed.size(), outline.tensors.size());
  const Json map = Json::parse(plan.index_json)["weight_map"];
  EXPECT_EQ(map.size(), placed.size());
  for (const std::string& name : placed) EXPECT_TRUE(map.contains(name)) << name;
}

INSTANTIATE_TEST_SUITE_P(Sizes, PublishedOutline,
                         testing::Values(Published{"3b", 3754622976, 2}, Published{"7b", 8292166656, 4},
                                         Published{"32b", 33452718336, 14},
                                         Published{"72b", 73410777344, 31}),
                         [](const auto& instance) { return std::string(instance.param.preset); });

TEST(CheckpointOutline, ConfigIsThePresetsButForTheDtype) {
  for (const auto& [dtype, name] : {std::pair{DType::bf16, "bfloat16"}, std::pair{DType::f16, "float16"},
                                    std::pair{DType::f32, "float32"}}) {
    const CheckpointOutline outline = outline_checkpoint(preset("3b"), {.dtype = dtype});
    auto expected = nlohmann::ordered_json::parse(preset("3b").config_json);
    expected["torch_dtype"] = name;
    EXPECT_EQ(nlohmann::ordered_json::parse(text_of(outline, "config.json")), expected);
    EXPECT_EQ(parse_model_config(text_of(outline, "config.json"), "c").dtype, name);
    for (const TensorSpec& tensor : outline.tensors) EXPECT_EQ(tensor.dtype, dtype);
  }
  EXPECT_THROW((void)outline_checkpoint(preset("tiny"), {.dtype = DType::i8}), UsageError);
}

TEST(CheckpointOutline, SmallFilesAreRead) {
  const CheckpointOutline outline = outline_checkpoint(preset("7b"));
  const GenerationConfig generation = parse_generation_config(text_of(outline, "generation_config.json"), "g",
                                                              text_of(outline, "config.json"), "c");
  EXPECT_EQ(generation.eos_token_ids, (std::vector<std::int64_t>{151645, 151643}));
  EXPECT_EQ(generation.pad_token_id, 151643);
  PreprocessorConfig published;
  published.max_pixels = 12'845'056;  // more than the reference's default, which a file without limits has
  EXPECT_EQ(parse_preprocessor_config(text_of(outline, "preprocessor_config.json"), "p"), published);
  EXPECT_EQ(Json::parse(text_of(outline, "tokenizer_config.json"))["eos_token"], "<|im_end|>");
}

TEST(CheckpointOutline, TheTokenizerHasTheConfigsIds) {
  for (const char* name : {"tiny", "3b"}) {
    const Preset& known = preset(name);
    const Json config = Json::parse(known.config_json);
    // Given as if it was the user's, it is checked as that is.
    const CheckpointOutline outline = outline_checkpoint(
        known, {.tokenizer_json = byte_tokenizer_json(config["image_token_id"].get<std::int64_t>())});
    EXPECT_EQ(text_of(outline, "tokenizer.json"), text_of(outline_checkpoint(known), "tokenizer.json"));
    const Tokenizer tokenizer = Tokenizer::parse(text_of(outline, "tokenizer.json"), "t");
    for (const auto& [content, id] :
         {std::pair{"<|endoftext|>", "bos_token_id"}, std::pair{"<|im_end|>", "eos_token_id"},
          std::pair{"<|vision_start|>", "vision_start_token_id"},
          std::pair{"<|vision_end|>", "vision_end_token_id"}, std::pair{"<|vision_pad|>", "vision_token_id"},
          std::pair{"<|image_pad|>", "image_token_id"}, std::pair{"<|video_pad|>", "video_token_id"}}) {
      EXPECT_EQ(tokenizer.token_id(content), config[id].get<std::int64_t>()) << known.name << content;
    }
    EXPECT_LT(static_cast<std::int64_t>(tokenizer.vocab_size()), outline.model->facts().vocab_size);
  }
  // The other sizes have the ids of 3b.
  for (const char* name : {"7b", "32b", "72b"}) {
    const ModelConfig config = parse_model_config(preset(name).config_json, name);
    EXPECT_EQ(config.image_token_id, 151655);
    EXPECT_EQ(config.vision_start_token_id, 151652);
    EXPECT_GE(config.text.vocab_size, 151936);
  }
}

// The ids that Hugging Face's tokenizers 0.23.1 gives for this file.
TEST(ByteTokenizer, HasATokenForEachByte) {
  const Tokenizer tokenizer = Tokenizer::parse(byte_tokenizer_json(312), "t");
  EXPECT_EQ(tokenizer.encode("Hé <300>\n<|im_start|>"),
            (std::vector<TokenId>{39, 127, 102, 220, 27, 18, 15, 15, 29, 198, 301}));
  const std::string text = "Any text: größe 你好\n\t🎉 it's";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text), false), text);
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{256, 299, 300}, true), " <256> <299>");
  EXPECT_TRUE(tokenizer.is_special(312));
  EXPECT_FALSE(tokenizer.is_special(314));  // <tool_call>
  EXPECT_EQ(tokenizer.token(314), "<tool_call>");
  EXPECT_EQ(Tokenizer::parse(byte_tokenizer_json(268), "t").token_id("<|endoftext|>"), 256);
  EXPECT_THROW((void)byte_tokenizer_json(267), UsageError);
}

TEST(CheckpointOutline, TakesATokenizerThatFits) {
  const std::string given = byte_tokenizer_json(312);
  EXPECT_EQ(text_of(outline_checkpoint(preset("tiny"), {.tokenizer_json = given}), "tokenizer.json"), given);
}

TEST(CheckpointOutline, RefusesATokenizerThatDoesNotFit) {
  const auto contains = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  const Preset& tiny = preset("tiny");
  contains(refusal(tiny, {.tokenizer_json = "{", .tokenizer_source = "X.json"}), "X.json");
  contains(refusal(tiny, {.tokenizer_json = byte_tokenizer_json(313)}),
           "<|image_pad|> has the id 313; config.json says 312");
  // The vision tokens where config.json wants them, but the end of a turn elsewhere.
  Json moved = Json::parse(byte_tokenizer_json(312));
  std::swap(moved["added_tokens"][1]["content"], moved["added_tokens"][2]["content"]);
  contains(refusal(tiny, {.tokenizer_json = moved.dump()}),
           "<|im_end|> has the id 301; config.json says that an answer ends with 302");
  Json large = Json::parse(byte_tokenizer_json(312));
  for (int id = 322; id < 385; ++id) {
    Json token = large["added_tokens"].back();
    token["id"] = id;
    token["content"] = fmt::format("<{}>", id);
    large["added_tokens"].push_back(token);
  }
  contains(refusal(tiny, {.tokenizer_json = large.dump()}), "has 385 tokens; the model has 384");
}

}  // namespace
}  // namespace qvl::qwen25vl
