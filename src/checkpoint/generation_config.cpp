#include "checkpoint/generation_config.h"

#include <limits>
#include <string>

#include "checkpoint/config_limits.h"
#include "core/json_fields.h"
#include "core/json_text.h"
#include "core/text_file.h"

namespace qvl {
namespace {

constexpr std::int64_t kMaxId = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kMaxEosIds = 1024;

// A number or a list of numbers; null and absent leave `ids` empty.
void read_eos(const JsonFields& fields, std::vector<std::int64_t>& ids) {
  const Json* value = fields.find("eos_token_id");
  if (value == nullptr) return;
  if (value->is_array()) {
    fields.read_ints("eos_token_id", 0, kMaxId, kMaxEosIds, ids);
  } else {
    std::int64_t id = -1;
    fields.read_int("eos_token_id", 0, kMaxId, id);
    if (id >= 0) ids.push_back(id);
  }
}

// An id that nothing is generated with.
void read_unused_id(const JsonFields& fields, const char* name, std::optional<std::int64_t>& id) {
  const Json* value = fields.find(name);
  if (id || value == nullptr || !value->is_number_unsigned()) return;
  const auto number = value->get<std::uint64_t>();
  if (number <= static_cast<std::uint64_t>(kMaxId)) id = static_cast<std::int64_t>(number);
}

// The ids that generation_config.json left out.
void read_model_ids(const JsonFields& fields, GenerationConfig& config) {
  if (config.eos_token_ids.empty()) read_eos(fields, config.eos_token_ids);
  read_unused_id(fields, "bos_token_id", config.bos_token_id);
  read_unused_id(fields, "pad_token_id", config.pad_token_id);
}

}  // namespace

GenerationConfig parse_generation_config(std::string_view generation_json, std::string_view generation_source,
                                         std::string_view config_json, std::string_view config_source) {
  GenerationConfig config;
  if (!generation_json.empty()) {
    const Json root = parse_json(generation_json, generation_source);
    JsonProblems problems(generation_source);
    const JsonFields fields(root, problems);
    read_eos(fields, config.eos_token_ids);
    read_unused_id(fields, "bos_token_id", config.bos_token_id);
    read_unused_id(fields, "pad_token_id", config.pad_token_id);
    fields.read_optional("max_new_tokens", 1, kMaxId, config.max_new_tokens);
    problems.throw_if_any();
  }
  const Json root = parse_json(config_json, config_source);
  JsonProblems problems(config_source);
  const JsonFields top(root, problems);
  read_model_ids(top, config);
  read_model_ids(top.object_or_empty("text_config"), config);
  if (config.eos_token_ids.empty() && problems.count() == 0) {
    problems.add(
        "eos_token_id is missing here and in generation_config.json; the ids of the tokens that end an "
        "answer "
        "are expected");
  }
  problems.throw_if_any();
  return config;
}

GenerationConfig read_generation_config(const std::filesystem::path& folder) {
  const std::filesystem::path generation = folder / "generation_config.json";
  const std::filesystem::path config = folder / "config.json";
  std::error_code ignored;
  const bool present = std::filesystem::exists(generation, ignored);
  const std::string generation_json = present ? read_text_file(generation, kMaxConfigBytes) : "";
  // An empty file is not an absent one.
  return parse_generation_config(present && generation_json.empty() ? " " : generation_json,
                                 generation.string(), read_text_file(config, kMaxConfigBytes),
                                 config.string());
}

}  // namespace qvl
