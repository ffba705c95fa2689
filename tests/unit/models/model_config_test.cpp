#include "models/qwen25vl/model_config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "support/error_text.h"
#include "support/test_data.h"

namespace qvl::qwen25vl {
namespace {

using Json = nlohmann::json;
using test::contains;
using test::input_error;

ModelConfig parse(const Json& json) { return parse_model_config(json.dump(), "config.json"); }

// A config, changed.
Json changed(const std::filesystem::path& file, const std::function<void(Json&)>& change) {
  Json json = Json::parse(test::read_file(file));
  change(json);
  return json;
}
Json flat(const std::function<void(Json&)>& change) { return changed(test::preset_config("7b"), change); }
Json nested(const std::function<void(Json&)>& change) {
  return changed(test::data("checkpoints/tiny-tied/config.json"), change);
}

std::string flat_error(const std::function<void(Json&)>& change) {
  return input_error([&] { parse(flat(change)); });
}
std::string nested_error(const std::function<void(Json&)>& change) {
  return input_error([&] { parse(nested(change)); });
}

// What all published sizes share.
ModelConfig published() {
  ModelConfig config;
  config.vision.hidden_size = 1280;
  config.vision.tokens_per_second = 2;
  config.text.max_position_embeddings = 128000;
  config.text.rms_norm_eps = 1e-6;
  config.text.mrope_section = {16, 24, 24};
  config.image_token_id = 151655;
  config.video_token_id = 151656;
  config.vision_start_token_id = 151652;
  config.vision_end_token_id = 151653;
  config.dtype = "bfloat16";
  return config;
}

ModelConfig published_3b() {
  ModelConfig config = published();
  config.vision.out_hidden_size = config.text.hidden_size = 2048;
  config.text.intermediate_size = 11008;
  config.text.num_attention_heads = 16;
  config.text.num_hidden_layers = 36;
  config.text.num_key_value_heads = 2;
  config.text.tie_word_embeddings = true;
  config.text.vocab_size = 151936;
  return config;
}

TEST(ModelConfig, ReadsThePublishedSizes) {
  EXPECT_EQ(read_model_config(test::preset_config("3b")), published_3b());

  ModelConfig config = published();
  config.vision.out_hidden_size = config.text.hidden_size = 3584;
  config.text.intermediate_size = 18944;
  config.text.num_attention_heads = 28;
  config.text.num_hidden_layers = 28;
  config.text.num_key_value_heads = 4;
  EXPECT_EQ(read_model_config(test::preset_config("7b")), config);

  config.vision.intermediate_size = 3456;
  config.vision.out_hidden_size = config.text.hidden_size = 5120;
  config.text.intermediate_size = 27648;
  config.text.num_attention_heads = 40;
  config.text.num_hidden_layers = 64;
  config.text.num_key_value_heads = 8;
  EXPECT_EQ(read_model_config(test::preset_config("32b")), config);

  config.vision.out_hidden_size = config.text.hidden_size = 8192;
  config.text.intermediate_size = 29568;
  config.text.num_attention_heads = 64;
  config.text.num_hidden_layers = 80;
  EXPECT_EQ(read_model_config(test::preset_config("72b")), config);
}

TEST(ModelConfig, TakesTheReferencesDefaultsForWhatAFinetuneLeavesOut) {
  const ModelConfig config = read_model_config(test::preset_config("3b-finetune"));
  EXPECT_EQ(config, published_3b());
  EXPECT_EQ(config.vision.depth, 32);
  EXPECT_EQ(config.vision.fullatt_block_indexes, (std::vector<std::int64_t>{7, 15, 23, 31}));
}

TEST(ModelConfig, ReadsTheNestedLayout) {
  ModelConfig expected;
  expected.vision.depth = 3;
  expected.vision.hidden_size = 48;
  expected.vision.intermediate_size = 100;
  expected.vision.num_heads = 3;
  expected.vision.out_hidden_size = 64;
  expected.vision.tokens_per_second = 2;
  expected.vision.fullatt_block_indexes = {1};
  expected.text.vocab_size = 800;
  expected.text.hidden_size = 64;
  expected.text.intermediate_size = 160;
  expected.text.num_hidden_layers = 3;
  expected.text.num_attention_heads = 4;
  expected.text.num_key_value_heads = 2;
  expected.text.max_position_embeddings = 4096;
  expected.text.rms_norm_eps = 1e-6;
  expected.text.mrope_section = {2, 3, 3};
  expected.text.tie_word_embeddings = true;
  expected.image_token_id = 771;
  expected.video_token_id = 772;
  expected.vision_start_token_id = 768;
  expected.vision_end_token_id = 769;
  expected.dtype = "float32";
  EXPECT_EQ(read_model_config(test::data("checkpoints/tiny-tied/config.json")), expected);
  EXPECT_EQ(expected.text.head_size(), 16);
  EXPECT_EQ(expected.vision.head_size(), 16);
}

TEST(ModelConfig, ReadsTheFlatLayoutOfTheSmallCheckpoints) {
  const ModelConfig sharded = read_model_config(test::data("checkpoints/tiny-sharded/config.json"));
  EXPECT_EQ(sharded.vision.head_size(), 40);
  EXPECT_EQ(sharded.vision.in_channels, 3);
  EXPECT_EQ(sharded.text.num_key_value_heads, 1);
  EXPECT_FALSE(sharded.text.tie_word_embeddings);
  const ModelConfig demo = read_model_config(test::demo_checkpoint() / "config.json");
  EXPECT_EQ(demo.text.mrope_section, (std::vector<std::int64_t>{4, 6, 6}));
  EXPECT_TRUE(demo.text.tie_word_embeddings);
}

TEST(ModelConfig, InChansIsTheOlderNameOfInChannels) {
  EXPECT_EQ(parse(flat([](Json& j) { j["vision_config"]["in_chans"] = 4; })).vision.in_channels, 4);
  EXPECT_EQ(parse(flat([](Json& j) {
              j["vision_config"].update({{"in_chans", 4}, {"in_channels", 5}});
            })).vision.in_channels,
            5);
}

// transformers 5.24 lifts a tie of text_config that the top level denies or does not mention.
TEST(ModelConfig, TieWordEmbeddingsMayStandOnEitherLevel) {
  const auto tied = [](const Json& top, const Json& inside) {
    return parse(nested([&](Json& j) {
             j.erase("tie_word_embeddings");
             j["text_config"].erase("tie_word_embeddings");
             if (!top.is_null()) j["tie_word_embeddings"] = top;
             if (!inside.is_null()) j["text_config"]["tie_word_embeddings"] = inside;
           }))
        .text.tie_word_embeddings;
  };
  EXPECT_TRUE(tied(true, nullptr));
  EXPECT_TRUE(tied(true, false));
  EXPECT_TRUE(tied(false, true));
  EXPECT_TRUE(tied(nullptr, true));
  EXPECT_FALSE(tied(false, false));
  EXPECT_FALSE(tied(false, nullptr));
  EXPECT_FALSE(tied(nullptr, nullptr));
}

TEST(ModelConfig, NestedTextFieldsHideThoseOfTheTopLevel) {
  const ModelConfig config = parse(nested([](Json& j) {
    j["hidden_size"] = 12345;
    j["text_config"].erase("max_position_embeddings");
    j["max_position_embeddings"] = 7;
  }));
  EXPECT_EQ(config.text.hidden_size, 64);
  EXPECT_EQ(config.text.max_position_embeddings, 32768);
}

TEST(ModelConfig, TokenIdsMayStandInTextConfig) {
  const ModelConfig config = parse(nested([](Json& j) {
    j["text_config"]["image_token_id"] = 700;
    j["image_token_id"] = nullptr;
    j["text_config"]["video_token_id"] = 701;
  }));
  EXPECT_EQ(config.image_token_id, 700);
  EXPECT_EQ(config.video_token_id, 772);
}

TEST(ModelConfig, RopeThetaMayStandInsideOrBeside) {
  EXPECT_EQ(parse(flat([](Json& j) { j["rope_theta"] = 5e5; })).text.rope_theta, 5e5);
  EXPECT_EQ(parse(nested([](Json& j) {
              j["text_config"]["rope_parameters"]["rope_theta"] = 10000;
            })).text.rope_theta,
            1e4);
  EXPECT_EQ(parse(nested([](Json& j) {
              j["text_config"]["rope_parameters"].erase("rope_theta");
              j["text_config"]["rope_theta"] = 3e6;
            })).text.rope_theta,
            3e6);
}

TEST(ModelConfig, AMissingMropeSectionIsTheUsualOneWhereItFits) {
  EXPECT_EQ(parse(flat([](Json& j) { j.erase("rope_scaling"); })).text.mrope_section,
            (std::vector<std::int64_t>{16, 24, 24}));
  const std::string error =
      nested_error([](Json& j) { j["text_config"]["rope_parameters"].erase("mrope_section"); });
  EXPECT_TRUE(contains(error, "text_config.rope_parameters.mrope_section is missing")) << error;
}

TEST(ModelConfig, NullKeyValueHeadsAreAsManyAsHeads) {
  EXPECT_EQ(parse(flat([](Json& j) { j["num_key_value_heads"] = nullptr; })).text.num_key_value_heads, 28);
  EXPECT_EQ(parse(flat([](Json& j) {
              j.erase("num_key_value_heads");
              j["num_attention_heads"] = 56;
              j["rope_scaling"]["mrope_section"] = {8, 12, 12};
            })).text.num_key_value_heads,
            8);
}

TEST(ModelConfig, DefaultFullAttentionBlocksBeyondTheDepthAreLeftOut) {
  const ModelConfig config = parse(flat([](Json& j) {
    j["vision_config"].erase("fullatt_block_indexes");
    j["vision_config"]["depth"] = 16;
  }));
  EXPECT_EQ(config.vision.fullatt_block_indexes, (std::vector<std::int64_t>{7, 15}));
}

TEST(ModelConfig, DtypeIsWhatTheFileSays) {
  EXPECT_EQ(parse(flat([](Json& j) { j.erase("torch_dtype"); })).dtype, "");
  EXPECT_EQ(parse(flat([](Json& j) { j["dtype"] = "float16"; })).dtype, "float16");
  EXPECT_EQ(parse(nested([](Json& j) {
              j.erase("dtype");
              j["text_config"]["dtype"] = "bfloat16";
            })).dtype,
            "bfloat16");
}

struct BadField {
  const char* pointer;  // JSON pointer into the flat 7b config
  Json value;           // discarded: the field is taken out
  const char* expected;
};

void PrintTo(const BadField& bad, std::ostream* out) { *out << bad.pointer; }

// Names may have letters, digits and underscores only, and must differ.
std::string name_of(const testing::TestParamInfo<BadField>& info) {
  std::string name = info.param.pointer;
  std::replace(name.begin(), name.end(), '/', '_');
  return fmt::format("case_{}{}", info.index, name);
}

class ModelConfigBadField : public testing::TestWithParam<BadField> {};

TEST_P(ModelConfigBadField, IsNamedInTheError) {
  const BadField& bad = GetParam();
  const std::string error = flat_error([&](Json& j) {
    const Json::json_pointer pointer(bad.pointer);
    if (bad.value.is_discarded()) {
      j.at(pointer.parent_pointer()).erase(pointer.back());
    } else {
      j[pointer] = bad.value;
    }
  });
  EXPECT_TRUE(contains(error, bad.expected)) << error;
  EXPECT_TRUE(contains(error, "config.json:\n")) << error;
  // One wrong field is one line, not a cascade.
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 1) << error;
}

const Json kGone = Json(Json::value_t::discarded);

INSTANTIATE_TEST_SUITE_P(
    Flat, ModelConfigBadField,
    testing::Values(
        BadField{"/model_type", "qwen2_vl", "model_type is \"qwen2_vl\"; \"qwen2_5_vl\" is expected"},
        BadField{"/model_type", kGone, "model_type is missing"},
        BadField{"/image_token_id", kGone, "image_token_id is missing"},
        BadField{"/video_token_id", nullptr, "video_token_id is missing"},
        BadField{"/vision_start_token_id", kGone, "vision_start_token_id is missing"},
        BadField{"/vision_end_token_id", kGone, "vision_end_token_id is missing"},
        BadField{"/image_token_id", 152064, "image_token_id is 152064; a whole number from 0 to 152063"},
        BadField{"/image_token_id", 151656, "video_token_id is 151656, as is image_token_id"},
        BadField{"/hidden_act", "gelu", "hidden_act is \"gelu\""},
        BadField{"/vision_config/hidden_act", "gelu", "vision_config.hidden_act is \"gelu\""},
        BadField{"/use_sliding_window", true, "use_sliding_window is true"},
        BadField{"/layer_types", Json::array({"full_attention", "sliding_attention"}), "layer_types has"},
        BadField{"/rope_scaling/type", "yarn", "rope_scaling.type is \"yarn\""},
        BadField{"/rope_scaling/rope_type", "linear", "rope_scaling.rope_type is \"linear\""},
        BadField{"/rope_scaling/rope_type", "dynamic", "rope_scaling.rope_type is \"dynamic\""},
        BadField{"/rope_scaling/mrope_section", Json::array({16, 24, 25}), "mrope_section is [16, 24, 25]"},
        BadField{"/rope_scaling/mrope_section", Json::array({32, 32}), "mrope_section is [32, 32]"},
        BadField{"/rope_scaling/mrope_section", Json::array(), "mrope_section is []"},
        BadField{"/rope_scaling/mrope_section", Json::array({16, 16, 16, 16}),
                 "mrope_section is a list of 4"},
        BadField{"/rope_scaling/mrope_section", Json::array({-16, 40, 40}), "mrope_section[0] is -16"},
        BadField{"/rope_scaling/mrope_section", Json::array({16, "x", 24}), "mrope_section[1] is \"x\""},
        BadField{"/rope_scaling", 7, "rope_scaling is 7; an object is expected"},
        BadField{"/num_attention_heads", 24, "hidden_size is 3584; a multiple of num_attention_heads, 24"},
        BadField{"/num_key_value_heads", 3,
                 "num_attention_heads is 28; a multiple of num_key_value_heads, 3"},
        BadField{"/num_attention_heads", 0, "num_attention_heads is 0; a whole number from 1"},
        BadField{"/hidden_size", 3584.0, "hidden_size is 3584.0; a whole number"},
        BadField{"/hidden_size", "3584", "hidden_size is \"3584\""},
        BadField{"/hidden_size", nullptr, "hidden_size is null"},
        BadField{"/hidden_size", Json::array({1}), "hidden_size is a list of 1"},
        BadField{"/hidden_size", std::numeric_limits<std::uint64_t>::max(),
                 "hidden_size is 18446744073709551615"},
        BadField{"/intermediate_size", std::int64_t{1} << 40, "intermediate_size is 1099511627776"},
        BadField{"/num_hidden_layers", 100000, "num_hidden_layers is 100000"},
        BadField{"/vocab_size", -1, "vocab_size is -1"},
        BadField{"/max_position_embeddings", 0, "max_position_embeddings is 0"},
        BadField{"/rms_norm_eps", 0, "rms_norm_eps is 0"},
        BadField{"/rms_norm_eps", "tiny", "rms_norm_eps is \"tiny\""},
        BadField{"/rope_theta", -1.0, "rope_theta is -1"},
        BadField{"/tie_word_embeddings", 1, "tie_word_embeddings is 1; true or false"},
        BadField{"/head_dim", 64, "head_dim is 64"}, BadField{"/torch_dtype", 16, "torch_dtype is 16"},
        BadField{"/quantization_config", Json::object({{"quant_method", "awq"}}),
                 "quantization_config is there"},
        BadField{"/vision_config/num_heads", 7,
                 "vision_config.hidden_size is 1280; a multiple of num_heads, 7"},
        BadField{"/vision_config/num_heads", 640, "head size of 2; a multiple of 4"},
        BadField{"/vision_config/window_size", 100, "window_size is 100; a multiple of patch_size x"},
        BadField{"/vision_config/out_hidden_size", 2048, "out_hidden_size is 2048; the text model's"},
        BadField{"/vision_config/fullatt_block_indexes", Json::array({7, 32}),
                 "fullatt_block_indexes[1] is 32"},
        BadField{"/vision_config/fullatt_block_indexes", Json::array({7, 7}),
                 "fullatt_block_indexes names a block"},
        BadField{"/vision_config/temporal_patch_size", 0, "temporal_patch_size is 0"},
        BadField{"/vision_config/temporal_patch_size", 1000, "temporal_patch_size is 1000"},
        BadField{"/vision_config/patch_size", -14, "patch_size is -14"},
        BadField{"/vision_config/tokens_per_second", 0, "tokens_per_second is 0"},
        BadField{"/vision_config/in_chans", 0, "in_chans is 0"}),
    name_of);

TEST(ModelConfig, ReportsEverythingAtOnce) {
  const std::string error = flat_error([](Json& j) {
    j["hidden_act"] = "relu";
    j["vision_config"]["depth"] = 0;
    j["rope_scaling"]["type"] = "yarn";
    j.erase("image_token_id");
  });
  for (const char* part : {"hidden_act", "vision_config.depth", "rope_scaling.type", "image_token_id"}) {
    EXPECT_TRUE(contains(error, part)) << error;
  }
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 4) << error;
}

TEST(ModelConfig, NamesFieldsOfTextConfig) {
  EXPECT_TRUE(contains(nested_error([](Json& j) { j["text_config"]["num_attention_heads"] = 3; }),
                       "text_config.hidden_size is 64; a multiple of num_attention_heads, 3"));
  EXPECT_TRUE(contains(nested_error([](Json& j) { j["text_config"] = "x"; }), "text_config is \"x\""));
}

TEST(ModelConfig, RefusesWhatIsNotAnObjectOrNotJson) {
  EXPECT_TRUE(
      contains(input_error([] { (void)parse_model_config("[1]", "config.json"); }), "an object is expected"));
  EXPECT_TRUE(contains(input_error([] { (void)parse_model_config("{\"model_type\":", "config.json"); }),
                       "config.json"));
  EXPECT_THROW((void)parse_model_config("", "config.json"), InputError);
  EXPECT_THROW((void)read_model_config("/none/config.json"), InputError);
}

}  // namespace
}  // namespace qvl::qwen25vl
