#include "text/added_tokens.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <cstring>

#include "text/unicode_kind.h"
#include "text/utf8.h"

namespace qvl {
namespace {

bool is_white_space(char32_t c) {
  return (unicode_kind::table()[c] & (unicode_kind::kSpace | unicode_kind::kNewline)) != 0;
}

bool is_word_character(char32_t c) {
  const auto code = static_cast<UChar32>(c);
  constexpr std::uint32_t kCategories = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_hasBinaryProperty(code, UCHAR_ALPHABETIC) != 0 ||
         u_hasBinaryProperty(code, UCHAR_JOIN_CONTROL) != 0 || (U_GET_GC_MASK(code) & kCategories) != 0;
}

bool is_single_word(std::string_view text, std::size_t begin, std::size_t end) {
  const char* data = text.data();
  if (begin > 0 && is_word_character(code_point_before(data, data + begin).value)) return false;
  return end == text.size() || !is_word_character(code_point_at(data + end).value);
}

// The start of the white space before `end`, not looking before `floor`.
std::size_t white_space_begin(std::string_view text, std::size_t floor, std::size_t end) {
  while (end > floor) {
    const CodePoint c = code_point_before(text.data() + floor, text.data() + end);
    if (!is_white_space(c.value)) break;
    end -= c.length;
  }
  return end;
}

std::size_t white_space_end(std::string_view text, std::size_t begin) {
  while (begin < text.size()) {
    const CodePoint c = code_point_at(text.data() + begin);
    if (!is_white_space(c.value)) break;
    begin += c.length;
  }
  return begin;
}

unsigned char byte_of(char c) { return static_cast<unsigned char>(c); }

}  // namespace

AddedTokens::AddedTokens(std::vector<Token> tokens) : tokens_(std::move(tokens)) {
  std::sort(tokens_.begin(), tokens_.end(),
            [](const Token& a, const Token& b) { return a.content < b.content; });
  for (const Token& token : tokens_) first_bytes_[byte_of(token.content[0])] = true;
  if (std::count(std::begin(first_bytes_), std::end(first_bytes_), true) == 1) {
    only_first_byte_ = byte_of(tokens_[0].content[0]);
  }
}

// Narrows the sorted tokens byte by byte to those that the text starts with.
const AddedTokens::Token* AddedTokens::longest_at(std::string_view rest) const {
  const Token* longest = nullptr;
  auto first = tokens_.begin();
  auto last = tokens_.end();
  for (std::size_t length = 0; length < rest.size(); ++length) {
    const unsigned char byte = byte_of(rest[length]);
    const auto byte_at = [length](const Token& token) {
      return token.content.size() == length ? -1 : static_cast<int>(byte_of(token.content[length]));
    };
    first = std::partition_point(first, last, [&](const Token& token) { return byte_at(token) < byte; });
    last = std::partition_point(first, last, [&](const Token& token) { return byte_at(token) == byte; });
    if (first == last) break;
    if (first->content.size() == length + 1) longest = &*first;
  }
  return longest;
}

AddedTokens::Match AddedTokens::find(std::string_view text, std::size_t from) const {
  for (std::size_t i = from; i < text.size(); ++i) {
    if (only_first_byte_ >= 0) {
      const void* next = std::memchr(text.data() + i, only_first_byte_, text.size() - i);
      if (next == nullptr) break;
      i = static_cast<std::size_t>(static_cast<const char*>(next) - text.data());
    } else if (!first_bytes_[byte_of(text[i])]) {
      continue;
    }
    if (const Token* token = longest_at(text.substr(i))) return {token, i, i + token->content.size()};
  }
  return {};
}

void AddedTokens::split(std::string_view text, const std::function<void(std::string_view)>& on_text,
                        const std::function<void(std::int64_t)>& on_token) const {
  std::size_t done = 0;  // everything before has been handed on
  std::size_t from = 0;
  std::size_t stripped_begin = 0;  // the white space that rstrip took last; tokens may start inside it again
  std::size_t stripped_end = 0;
  while (!tokens_.empty()) {
    const Match match = find(text, from);
    if (match.token == nullptr) break;
    // The search goes on behind the token itself, also when it is refused or takes white space along.
    from = match.end;
    const Token& token = *match.token;
    if (token.single_word && !is_single_word(text, match.begin, match.end)) continue;
    const std::size_t begin =
        token.lstrip ? white_space_begin(text, std::min(done, match.begin), match.begin) : match.begin;
    std::size_t end = match.end;
    if (token.rstrip) {
      end = end >= stripped_begin && end < stripped_end ? stripped_end : white_space_end(text, end);
      stripped_begin = match.end;
      stripped_end = end;
    }
    if (done < begin) on_text(text.substr(done, begin - done));
    on_token(token.id);
    done = end;
  }
  if (done < text.size()) on_text(text.substr(done));
}

}  // namespace qvl
