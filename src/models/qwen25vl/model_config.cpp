#include "models/qwen25vl/model_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <limits>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

#include "checkpoint/config_limits.h"
#include "core/json_fields.h"
#include "core/json_text.h"
#include "core/message_quote.h"
#include "core/text_file.h"

namespace qvl::qwen25vl {
namespace {

// Far beyond any model, and so small that no product of a tensor's dimensions leaves 63 bits: the largest are
// the patch embedding, width x channels x frames x patch^2 <= 2^(20+6+6+24), and the merger's square matrix,
// (width x merge^2)^2 <= 2^56.
constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 20;
constexpr std::int64_t kMaxChannels = 64;
constexpr std::int64_t kMaxFrames = 64;
constexpr std::int64_t kMaxPatchSize = 4096;
constexpr std::int64_t kMaxMergeSize = 16;
constexpr std::int64_t kMaxWindowSize = std::int64_t{1} << 16;
constexpr std::int64_t kMaxCount = std::numeric_limits<std::int32_t>::max();

// The section of all published sizes, which have a head size of 128.
constexpr std::array<std::int64_t, 3> kUsualMropeSection = {16, 24, 24};

void require_silu(const JsonFields& fields) {
  std::string act = "silu";
  fields.read_optional("hidden_act", act);
  if (act == "silu") return;
  fields.problem("hidden_act", fmt::format("is {}; only \"silu\" is supported", quote_for_message(act)));
}

std::optional<bool> read_tie(const JsonFields& fields) {
  std::optional<bool> tie;
  fields.read_optional("tie_word_embeddings", tie);
  return tie;
}

void read_vision_sizes(const JsonFields& fields, VisionConfig& vision) {
  fields.read_int("depth", 1, kMaxLayers, vision.depth);
  fields.read_int("hidden_size", 1, kMaxWidth, vision.hidden_size);
  fields.read_int("intermediate_size", 1, kMaxWidth, vision.intermediate_size);
  fields.read_int("num_heads", 1, kMaxWidth, vision.num_heads);
  fields.read_int(fields.has("in_channels") ? "in_channels" : "in_chans", 1, kMaxChannels,
                  vision.in_channels);
  fields.read_int("patch_size", 1, kMaxPatchSize, vision.patch_size);
  fields.read_int("spatial_merge_size", 1, kMaxMergeSize, vision.spatial_merge_size);
  fields.read_int("temporal_patch_size", 1, kMaxFrames, vision.temporal_patch_size);
  fields.read_int("window_size", 1, kMaxWindowSize, vision.window_size);
  fields.read_int("out_hidden_size", 1, kMaxWidth, vision.out_hidden_size);
}

void read_vision_rest(const JsonFields& fields, VisionConfig& vision) {
  fields.read_number_above("tokens_per_second", 0.0, 1e6, vision.tokens_per_second);
  if (fields.has("fullatt_block_indexes")) {
    fields.read_ints("fullatt_block_indexes", 0, vision.depth - 1, static_cast<std::size_t>(vision.depth),
                     vision.fullatt_block_indexes);
    const auto& blocks = vision.fullatt_block_indexes;
    if (std::set(blocks.begin(), blocks.end()).size() != blocks.size()) {
      fields.problem("fullatt_block_indexes", "names a block twice");
    }
  } else {
    std::erase_if(vision.fullatt_block_indexes, [&](std::int64_t block) { return block >= vision.depth; });
  }
  require_silu(fields);
}

void read_mrope_section(const JsonFields& rope, TextConfig& text) {
  const std::int64_t half = text.head_size() / 2;
  const std::size_t problems_before = rope.problems().count();
  if (rope.has("mrope_section")) {
    rope.read_ints("mrope_section", 0, kMaxWidth, 3, text.mrope_section);
  } else if (half == std::reduce(kUsualMropeSection.begin(), kUsualMropeSection.end())) {
    text.mrope_section.assign(kUsualMropeSection.begin(), kUsualMropeSection.end());
  }
  const auto& section = text.mrope_section;
  if (rope.problems().count() > problems_before) return;
  if (section.size() != 3 || std::reduce(section.begin(), section.end()) != half) {
    const std::string found =
        rope.has("mrope_section") ? fmt::format("is [{}]", fmt::join(section, ", ")) : "is missing";
    rope.problem(
        "mrope_section",
        fmt::format("{}; three numbers that sum to half the head size, {}, are expected", found, half));
  }
}

// `rope_scaling` goes before `rope_parameters`, and a rope_theta inside before one beside, as in the
// reference.
void read_rope(const JsonFields& fields, bool head_size_known, TextConfig& text) {
  const JsonFields rope =
      fields.object_or_empty(fields.has("rope_scaling") ? "rope_scaling" : "rope_parameters");
  for (const char* name : {"type", "rope_type"}) {
    std::string type = "default";
    rope.read_optional(name, type);
    if (type != "default" && type != "mrope") {
      rope.problem(
          name, fmt::format("is {}; only \"mrope\" and \"default\" are supported", quote_for_message(type)));
    }
  }
  (rope.has("rope_theta") ? rope : fields).read_number_above("rope_theta", 0.0, 1e30, text.rope_theta);
  if (head_size_known) read_mrope_section(rope, text);
}

void refuse_sliding_windows(const JsonFields& fields) {
  bool sliding = false;
  if (fields.has("use_sliding_window")) fields.read_bool("use_sliding_window", sliding);
  if (sliding) fields.problem("use_sliding_window", "is true; sliding windows are not supported");
  const Json* types = fields.find("layer_types");
  if (types == nullptr || !types->is_array()) return;
  for (const Json& type : *types) {
    if (type == "full_attention") continue;
    fields.problem("layer_types", fmt::format("has {}; only \"full_attention\" is supported", shown(type)));
    return;
  }
}

void read_text_sizes(const JsonFields& fields, TextConfig& text) {
  fields.read_int("vocab_size", 1, kMaxCount, text.vocab_size);
  fields.read_int("hidden_size", 1, kMaxWidth, text.hidden_size);
  fields.read_int("intermediate_size", 1, kMaxWidth, text.intermediate_size);
  fields.read_int("num_hidden_layers", 1, kMaxLayers, text.num_hidden_layers);
  fields.read_int("num_attention_heads", 1, kMaxWidth, text.num_attention_heads);
  if (fields.mentions("num_key_value_heads") && !fields.has("num_key_value_heads")) {
    text.num_key_value_heads = text.num_attention_heads;  // what null means to the reference
  } else {
    fields.read_int("num_key_value_heads", 1, kMaxWidth, text.num_key_value_heads);
  }
  fields.read_int("max_position_embeddings", 1, kMaxCount, text.max_position_embeddings);
}

void read_text_rest(const JsonFields& fields, bool sizes_known, TextConfig& text) {
  fields.read_number_above("rms_norm_eps", 0.0, 1.0, text.rms_norm_eps);
  const bool heads_divide = text.hidden_size % text.num_attention_heads == 0;
  read_rope(fields, sizes_known && heads_divide, text);
  refuse_sliding_windows(fields);
  require_silu(fields);
  std::optional<std::int64_t> head_size;
  fields.read_optional("head_dim", 1, kMaxWidth, head_size);
  if (sizes_known && head_size && *head_size != text.head_size()) {
    fields.problem("head_dim", fmt::format("is {}; only hidden_size / num_attention_heads, {}, is supported",
                                           *head_size, text.head_size()));
  }
}

void read_token_id(const JsonFields& top, const JsonFields& nested, const char* name, std::int64_t vocab_size,
                   std::int64_t& out) {
  const JsonFields& fields = !top.has(name) && nested.has(name) ? nested : top;
  if (fields.has(name)) {
    fields.read_int(name, 0, vocab_size - 1, out);
  } else {
    top.problem(name, "is missing; the id of the token is expected");
  }
}

void check_vision(const JsonFields& fields, const ModelConfig& config) {
  const VisionConfig& vision = config.vision;
  if (vision.hidden_size % vision.num_heads != 0) {
    fields.problem("hidden_size", fmt::format("is {}; a multiple of num_heads, {}, is expected",
                                              vision.hidden_size, vision.num_heads));
  } else if (vision.head_size() % 4 != 0) {
    fields.problem("hidden_size",
                   fmt::format("is {}, which gives a head size of {}; a multiple of 4 is expected",
                               vision.hidden_size, vision.head_size()));
  }
  const std::int64_t block_pixels = vision.patch_size * vision.spatial_merge_size;
  if (vision.window_size % block_pixels != 0) {
    fields.problem("window_size",
                   fmt::format("is {}; a multiple of patch_size x spatial_merge_size, {}, is expected",
                               vision.window_size, block_pixels));
  }
  if (vision.out_hidden_size != config.text.hidden_size) {
    fields.problem("out_hidden_size", fmt::format("is {}; the text model's hidden_size, {}, is expected",
                                                  vision.out_hidden_size, config.text.hidden_size));
  }
}

void check_text(const JsonFields& fields, const TextConfig& text) {
  if (text.num_attention_heads % text.num_key_value_heads != 0) {
    fields.problem("num_attention_heads",
                   fmt::format("is {}; a multiple of num_key_value_heads, {}, is expected",
                               text.num_attention_heads, text.num_key_value_heads));
  }
  if (text.hidden_size % text.num_attention_heads != 0) {
    fields.problem("hidden_size", fmt::format("is {}; a multiple of num_attention_heads, {}, is expected",
                                              text.hidden_size, text.num_attention_heads));
  } else if (text.head_size() % 2 != 0) {
    fields.problem("hidden_size", fmt::format("is {}, which gives a head size of {}; an even one is expected",
                                              text.hidden_size, text.head_size()));
  }
}

void read_token_ids(const JsonFields& top, const JsonFields& nested, ModelConfig& config) {
  const std::array<std::pair<const char*, std::int64_t*>, 4> ids = {{
      {"image_token_id", &config.image_token_id},
      {"video_token_id", &config.video_token_id},
      {"vision_start_token_id", &config.vision_start_token_id},
      {"vision_end_token_id", &config.vision_end_token_id},
  }};
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto& [name, id] = ids[i];
    read_token_id(top, nested, name, config.text.vocab_size, *id);
    for (std::size_t j = 0; j < i; ++j) {
      if (*id < 0 || *id != *ids[j].second) continue;
      top.problem(name, fmt::format("is {}, as is {}; different ids are expected", *id, ids[j].first));
    }
  }
}

void read_dtype(const JsonFields& fields, std::string& dtype) {
  fields.read_optional(fields.has("dtype") ? "dtype" : "torch_dtype", dtype);
}

// True when this is a config of the right kind; nothing else in another kind is worth reporting.
bool check_kind(const JsonFields& top) {
  std::string type;
  top.read_optional("model_type", type);
  if (type != "qwen2_5_vl") {
    top.problem("model_type", (type.empty() ? "is missing" : "is " + quote_for_message(type)) +
                                  "; \"qwen2_5_vl\" is expected");
    return false;
  }
  if (top.has("quantization_config")) {
    top.problem("quantization_config", "is there; a checkpoint that is not quantized is expected");
  }
  return true;
}

}  // namespace

ModelConfig parse_model_config(std::string_view json, std::string_view source) {
  const Json root = parse_json(json, source);
  JsonProblems problems(source);
  const JsonFields top(root, problems);
  ModelConfig config;
  if (check_kind(top)) {
    const JsonFields vision = top.object_or_empty("vision_config");
    const JsonFields nested = top.object_or_empty("text_config");
    const JsonFields& text = top.has("text_config") ? nested : top;
    const std::size_t problems_before = problems.count();
    read_vision_sizes(vision, config.vision);
    read_text_sizes(text, config.text);
    // Whether sizes go together cannot be told from sizes that are wrong by themselves.
    const bool sizes_known = problems.count() == problems_before;
    read_vision_rest(vision, config.vision);
    read_text_rest(text, sizes_known, config.text);
    if (sizes_known) {
      check_vision(vision, config);
      check_text(text, config.text);
    }
    // Files written before transformers 5 say it inside text_config only, which then counts, as there.
    config.text.tie_word_embeddings =
        read_tie(top).value_or(config.text.tie_word_embeddings) || read_tie(nested).value_or(false);
    read_token_ids(top, nested, config);
    read_dtype(top.has("dtype") || top.has("torch_dtype") ? top : nested, config.dtype);
  }
  problems.throw_if_any();
  return config;
}

ModelConfig read_model_config(const std::filesystem::path& config_json) {
  return parse_model_config(read_text_file(config_json, kMaxConfigBytes), config_json.string());
}

}  // namespace qvl::qwen25vl
