// Finds the added tokens in a text, with the rules of tokenizers 0.23 (tokenizer/added_vocabulary.rs).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace qvl {

// At each place the longest token counts. lstrip and rstrip take the white space (White_Space) beside a token
// along; single_word refuses a token that has a word character (\w: Alphabetic, M, Nd, Pc, Join_Control)
// beside it.
class AddedTokens {
 public:
  struct Token {
    std::string content;  // not empty, at most kMaxContentBytes
    std::int64_t id = 0;
    bool single_word = false;
    bool lstrip = false;
    bool rstrip = false;
  };

  static constexpr std::size_t kMaxContentBytes = 1024;

  AddedTokens() = default;
  // No two have the same content.
  explicit AddedTokens(std::vector<Token> tokens);

  [[nodiscard]] bool empty() const noexcept { return tokens_.empty(); }

  // Calls on_token for each token of `text` (valid UTF-8) and on_text for what lies between, in order.
  void split(std::string_view text, const std::function<void(std::string_view)>& on_text,
             const std::function<void(std::int64_t)>& on_token) const;

 private:
  struct Match {
    const Token* token = nullptr;
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  // The first match at or behind `from`; no token when there is none.
  [[nodiscard]] Match find(std::string_view text, std::size_t from) const;
  [[nodiscard]] const Token* longest_at(std::string_view rest) const;

  std::vector<Token> tokens_;  // sorted by content
  bool first_bytes_[256] = {};
  int only_first_byte_ = -1;  // when all tokens start with the same byte
};

}  // namespace qvl
