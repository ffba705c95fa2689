// How a checkpoint wants its answers to be generated: generation_config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace qvl {

// An empty optional is a field that the file leaves out; what that means is the engine's matter. Settings of
// sampling and penalties are not read: decoding is greedy, and a value of theirs that only other programs
// understand (top_k -1) is no reason to refuse the file.
struct GenerationConfig {
  std::vector<std::int64_t> eos_token_ids;  // at least one; any of them ends an answer
  // Only copied into checkpoints that `synth` writes; what is no token id (-1, null) counts as absent.
  std::optional<std::int64_t> bos_token_id;
  std::optional<std::int64_t> pad_token_id;
  std::optional<std::int64_t> max_new_tokens;

  friend bool operator==(const GenerationConfig&, const GenerationConfig&) = default;
};

// `generation_json` is the text of generation_config.json, empty where there is none; `config_json` that of
// config.json, whose eos_token_id, bos_token_id and pad_token_id (on its top level or in text_config) stand
// in for those that generation_config.json leaves out. The sources name the files in messages. Throws one
// InputError with all that is wrong, also when no eos_token_id is found.
[[nodiscard]] GenerationConfig parse_generation_config(std::string_view generation_json,
                                                       std::string_view generation_source,
                                                       std::string_view config_json,
                                                       std::string_view config_source);

// From a checkpoint or model folder: generation_config.json (may be absent) and config.json.
[[nodiscard]] GenerationConfig read_generation_config(const std::filesystem::path& folder);

}  // namespace qvl
