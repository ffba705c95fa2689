// Added tokens that stand beside tokenizer.json: in tokenizer_config.json and, in older folders, in
// added_tokens.json and special_tokens_map.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "text/added_tokens.h"

namespace qvl {

struct DeclaredToken {
  AddedTokens::Token token;  // without its id
  bool normalized = false;
  bool special = false;
  // What the file says its id is. Those without are only added where tokenizer.json has no such added token.
  std::optional<std::int64_t> id;
  std::string place;  // for messages: file and field
};

// In the order in which transformers 5.24 adds them: those of added_tokens_decoder (or added_tokens.json) by
// their ids, then the named special tokens, then additional_special_tokens (extra_special_tokens). Empty
// where `folder` has no such file. Throws InputError for files that are not as they must be, and for settings
// that change how texts are split (split_special_tokens, add_prefix_space).
[[nodiscard]] std::vector<DeclaredToken> declared_tokens(const std::filesystem::path& folder);

}  // namespace qvl
