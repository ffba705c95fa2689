#include "models/qwen25vl/checkpoint_outline.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/generation_config.h"
#include "checkpoint/preprocessor_config.h"
#include "core/json_text.h"
#include "models/qwen25vl/byte_tokenizer.h"
#include "models/qwen25vl/chat_tokens.h"
#include "models/qwen25vl/model.h"
#include "models/qwen25vl/tensors.h"
#include "qvl/error.h"
#include "text/tokenizer.h"

namespace qvl::qwen25vl {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr std::string_view kEndOfTurn = "<|im_end|>";
constexpr std::string_view kEndOfText = "<|endoftext|>";

std::string_view torch_name(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return "bfloat16";
    case DType::f16:
      return "float16";
    case DType::f32:
      return "float32";
    default:
      throw UsageError(fmt::format("a checkpoint's weights are BF16, F16 or F32, not {}", name(dtype)));
  }
}

std::string pretty(const OrderedJson& json) { return json.dump(2) + "\n"; }

std::string config_text(const Preset& preset, const OutlineOptions& options) {
  OrderedJson config = OrderedJson::parse(preset.config_json);
  config["torch_dtype"] = torch_name(options.dtype);
  const auto layers = config.at("num_hidden_layers").get<std::int64_t>();
  if (options.decoder_layers < 0 || options.decoder_layers > layers) {
    throw UsageError(fmt::format("{} decoder layers; {} has {}, and some of them can be had",
                                 options.decoder_layers, preset.name, layers));
  }
  if (options.decoder_layers > 0) config["num_hidden_layers"] = options.decoder_layers;
  return pretty(config);
}

// As published with the instruct models; the ids are those of config.json.
std::string generation_config_text(const GenerationConfig& ids) {
  std::vector<std::int64_t> ends = ids.eos_token_ids;
  if (ids.bos_token_id) ends.push_back(*ids.bos_token_id);
  OrderedJson config;
  if (ids.bos_token_id) config["bos_token_id"] = *ids.bos_token_id;
  if (ids.bos_token_id) config["pad_token_id"] = ids.pad_token_id.value_or(*ids.bos_token_id);
  config["do_sample"] = true;
  config["eos_token_id"] = ends;
  config["repetition_penalty"] = 1.05;
  config["temperature"] = 1e-6;
  return pretty(config);
}

std::string preprocessor_config_text(const VisionConfig& vision) {
  const PreprocessorConfig usual;
  // Of the published files; what a file without limits means is less.
  return pretty({{"min_pixels", 3136},
                 {"max_pixels", 12845056},
                 {"patch_size", vision.patch_size},
                 {"temporal_patch_size", vision.temporal_patch_size},
                 {"merge_size", vision.spatial_merge_size},
                 {"image_mean", usual.image_mean},
                 {"image_std", usual.image_std},
                 {"image_processor_type", "Qwen2VLImageProcessor"},
                 {"processor_class", "Qwen2_5_VLProcessor"}});
}

std::string tokenizer_config_text(std::int64_t max_tokens) {
  return pretty({{"tokenizer_class", "Qwen2Tokenizer"},
                 {"model_max_length", max_tokens},
                 {"eos_token", kEndOfTurn},
                 {"pad_token", kEndOfText},
                 {"add_prefix_space", false},
                 {"clean_up_tokenization_spaces", false}});
}

void require_fitting_tokenizer(const Tokenizer& tokenizer, const ModelConfig& config,
                               const GenerationConfig& ids, const std::string& source) {
  require_chat_tokens(tokenizer, config, source);
  const std::int64_t end = *tokenizer.token_id(kEndOfTurn);
  if (std::find(ids.eos_token_ids.begin(), ids.eos_token_ids.end(), end) == ids.eos_token_ids.end()) {
    throw InputError(fmt::format("{}: {} has the id {}; config.json says that an answer ends with {}", source,
                                 kEndOfTurn, end, fmt::join(ids.eos_token_ids, ", ")));
  }
  if (static_cast<std::int64_t>(tokenizer.vocab_size()) > config.text.vocab_size) {
    throw InputError(fmt::format("{} has {} tokens; the model has {}", source, tokenizer.vocab_size(),
                                 config.text.vocab_size));
  }
}

}  // namespace

CheckpointOutline outline_checkpoint(const Preset& preset, const OutlineOptions& options) {
  const std::string config_json = config_text(preset, options);
  const std::string source = fmt::format("config.json of {}", preset.hub_name);
  const ModelConfig config = parse_model_config(config_json, source);
  CheckpointOutline outline{make_model(config), {}, {}};
  const TensorTable table = tensor_table(config);
  for (const TensorRow& row : table.rows()) {
    if (row.in_checkpoint()) outline.tensors.push_back({row.name, options.dtype, row.shape});
  }
  const GenerationConfig ids = parse_generation_config("", "", config_json, source);
  if (options.tokenizer_json) {
    const Tokenizer tokenizer = Tokenizer::parse(*options.tokenizer_json, options.tokenizer_source);
    require_fitting_tokenizer(tokenizer, config, ids, options.tokenizer_source);
  }
  std::string tokenizer_json =
      options.tokenizer_json ? *options.tokenizer_json : byte_tokenizer_json(config.image_token_id);
  outline.files = {{"config.json", config_json},
                   {"generation_config.json", generation_config_text(ids)},
                   {"preprocessor_config.json", preprocessor_config_text(config.vision)},
                   {"tokenizer_config.json", tokenizer_config_text(config.text.max_position_embeddings)},
                   {"tokenizer.json", std::move(tokenizer_json)}};
  return outline;
}

}  // namespace qvl::qwen25vl
