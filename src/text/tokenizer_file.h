// tokenizer.json, read and checked.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/added_tokens.h"
#include "text/byte_pair_encoder.h"
#include "text/declared_tokens.h"
#include "text/token_table.h"

namespace qvl {

struct TokenizerFile {
  TokenTable tokens;          // as written; the vocabulary, then the added ones
  std::vector<bool> special;  // by id
  // Added tokens that normalization changes, by id: in its reverse mapping tokenizers has the normalized
  // text.
  std::unordered_map<std::uint32_t, std::string> normalized_tokens;
  std::array<std::uint32_t, 256> byte_ids{};
  std::vector<BytePairEncoder::Merge> merges;        // by rank
  std::vector<AddedTokens::Token> raw_added;         // found in the text as given
  std::vector<AddedTokens::Token> normalized_added;  // found in the normalized text
  std::size_t vocabulary_size = 0;                   // without added tokens
  bool ignore_merges = false;
  bool nfc = false;
  std::optional<std::string> split_pattern;  // nothing: the text is one piece
};

// With the tokens that other files of the folder declare: new ones are added, and what they say of known ones
// (lstrip and the like) counts, where they give ids. Throws InputError for what is not as tokenizer.h says,
// and for ids of declared tokens that are not those of tokenizer.json or not the next free ones.
[[nodiscard]] TokenizerFile parse_tokenizer_file(std::string_view json, std::string_view source,
                                                 std::span<const DeclaredToken> declared = {});

}  // namespace qvl
