// The byte-level BPE tokenizer of a checkpoint's tokenizer.json. Token ids equal those of Hugging Face's
// tokenizers 0.23.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qvl {

using TokenId = std::int64_t;

// What tokenizer.json may hold; anything else is an InputError that names the field:
//   model           BPE, without dropout, prefixes and suffixes; ignore_merges either way; merges as "a b" or
//                   ["a", "b"]; vocabulary ids 0 to n-1, each once, with a token for each of the 256 bytes
//   added_tokens    special or not, with lstrip, rstrip, single_word and normalized; their ids are those that
//                   tokenizers gives: the vocabulary's for what is in it, else counted on from its end
//   normalizer      null, NFC, or a Sequence of NFC
//   pre_tokenizer   ByteLevel without add_prefix_space, alone or behind one Split (Regex, Isolated) in a
//                   Sequence
//   post_processor  null or ByteLevel (which changes offsets only)
//   decoder         ByteLevel
// `truncation` and `padding` are ignored: they are settings of a training run.
//
// Immutable; copies share their data. All functions may be called from several threads at once: what encode()
// reuses between calls (buffers, a cache of words) is taken from a pool, one set for each call at work.
class Tokenizer {
 public:
  // With the added tokens that only tokenizer_config.json beside it (or added_tokens.json and
  // special_tokens_map.json) has, as transformers 5.24 adds them. Throws InputError, also where the files
  // disagree about an id. The file has at most 64 MiB.
  [[nodiscard]] static Tokenizer load(const std::filesystem::path& tokenizer_json);
  // `source` names the text in messages.
  [[nodiscard]] static Tokenizer parse(std::string_view json, std::string_view source);

  ~Tokenizer();
  Tokenizer(const Tokenizer&);
  Tokenizer& operator=(const Tokenizer&);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // The tokens of a text; added tokens are recognised in it, special ones too. Bytes that are not UTF-8 count
  // as U+FFFD. At most 1 GiB. Throws InputError when it is longer, or when the file's own split pattern takes
  // too long on it.
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text) const;

  // The text of tokens. Ids that do not exist give nothing; bytes that are not UTF-8 become U+FFFD.
  // `skip_special` leaves out the added tokens that are marked special.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool skip_special) const;

  // The id of a token as it is written in the vocabulary ("Ġthe", "<|im_end|>").
  [[nodiscard]] std::optional<TokenId> token_id(std::string_view content) const;
  // How a token is written in the vocabulary (an added token with `normalized`: its normalized text); empty
  // for an id that does not exist.
  [[nodiscard]] std::string token(TokenId id) const;
  // The bytes of a token, which may be part of a character only; empty for an id that does not exist. Valid
  // as long as this tokenizer or a copy of it.
  [[nodiscard]] std::string_view token_bytes(TokenId id) const noexcept;
  [[nodiscard]] bool is_special(TokenId id) const noexcept;

  // Tokens of the vocabulary and added ones.
  [[nodiscard]] std::size_t vocab_size() const noexcept;

 private:
  struct State;
  explicit Tokenizer(std::shared_ptr<const State> state);

  std::shared_ptr<const State> state_;
};

}  // namespace qvl
