#include "text/regex_syntax.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "qvl/error.h"
#include "text/unicode_kind.h"

namespace qvl {
namespace {

constexpr std::array<std::string_view, 37> kCategories = {
    "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",  "Nd", "Nl",
    "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk",
    "So", "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Cn", "Co", "Cs"};
constexpr std::array<std::string_view, 20> kScripts = {
    "Arabic", "Armenian", "Bengali",   "Cyrillic", "Devanagari", "Ethiopic", "Georgian",
    "Greek",  "Han",      "Hangul",    "Hebrew",   "Hiragana",   "Katakana", "Khmer",
    "Lao",    "Latin",    "Mongolian", "Myanmar",  "Thai",       "Tibetan"};
constexpr std::array<std::string_view, 7> kGroups = {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
constexpr std::string_view kNoBrace = "a brace that is not {n}, {n,} or {n,m}";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_alphanumeric(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The members of a set that are white space, or all that are not.
std::string white_space(bool inverted) {
  std::string set;
  const auto add = [&set](char32_t first, char32_t last) {
    set += fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", static_cast<std::uint32_t>(first),
                       static_cast<std::uint32_t>(last));
  };
  char32_t next = 0;
  for (const auto& [first, last] : white_space_ranges()) {
    if (inverted) {
      add(next, first - 1);
    } else {
      add(first, last);
    }
    next = last + 1;
  }
  if (inverted) add(next, 0x10FFFF);
  return set;
}

// Goes through the pattern once. Each step takes one construct from at_ on and writes it, or fails.
class Rewriter {
 public:
  Rewriter(std::string_view pattern, std::string_view source) : pattern_(pattern), source_(source) {}

  std::string run() {
    while (at_ < pattern_.size()) item();
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(std::string_view what, std::size_t place) const {
    throw InputError(
        fmt::format("{}: {} at byte {} of the pattern {} is not supported", source_, what, place, pattern_));
  }
  // Zero behind the end.
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }
  [[nodiscard]] bool is_at(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  void copy(std::size_t count) { replace(count, pattern_.substr(at_, count)); }
  void replace(std::size_t count, std::string_view text) {
    out_ += text;
    at_ += count;
  }

  void item() {
    switch (peek()) {
      case '\\':
        return escape(false);
      case '[':
        return set();
      case '(':
        return group();
      case '?':
      case '*':
      case '+':
        copy(1);
        if (is_at("?") || is_at("+")) copy(1);
        return refuse_quantifier();
      case '{':
        return interval();
      case '^':
      case '$':
        fail("an anchor", at_);
      default:
        copy(1);
    }
  }

  void group() {
    if (!is_at("(?") && !is_at("(*")) return replace(1, "(?:");  // nothing asks what a group captured
    const auto* kind = std::ranges::find_if(kGroups, [this](std::string_view k) { return is_at(k); });
    if (kind == kGroups.end()) fail("this kind of group", at_);
    copy(kind->size());
  }

  void refuse_quantifier() const {
    if (is_at("?") || is_at("*") || is_at("+") || is_at("{")) fail("a quantifier of a quantifier", at_);
  }

  void interval() {
    const std::size_t start = at_;
    copy(1);
    const std::size_t low = number(start);
    const bool range = is_at(",");
    if (range) {
      copy(1);
      if (is_digit(peek()) && number(start) < low) fail("an interval that ends first", start);
    }
    if (!is_at("}")) fail(kNoBrace, start);
    copy(1);
    if (range && is_at("?")) copy(1);
    refuse_quantifier();
  }

  // Of the interval that begins at `start`.
  std::size_t number(std::size_t start) {
    if (!is_digit(peek())) fail(kNoBrace, start);
    std::size_t value = 0;
    for (int digits = 0; is_digit(peek()) && digits < 5; ++digits) {
      value = value * 10 + static_cast<std::size_t>(peek() - '0');
      copy(1);
    }
    return value;
  }

  void set() {
    const std::size_t start = at_;
    copy(is_at("[^") ? 2 : 1);
    if (is_at("]")) fail("an empty set", start);
    while (!is_at("]")) {
      if (at_ == pattern_.size()) fail("a set without its ]", start);
      if (is_at("[")) fail("a set inside a set", at_);
      if (is_at("&&")) fail("an intersection of sets", at_);
      if (is_at("\\")) {
        escape(true);
      } else {
        copy(1);
      }
    }
    copy(1);
  }

  void escape(bool in_set) {
    if (at_ + 1 == pattern_.size()) fail("a backslash at the end", at_);
    const char c = peek(1);
    if (c == 'p' || c == 'P') return property();
    if (c == 's' || c == 'S') {
      const std::string set = white_space(c == 'S');
      return replace(2, in_set ? set : "[" + set + "]");
    }
    if (c == 'x') {
      if (!is_hex(peek(2)) || !is_hex(peek(3))) fail("\\x without two hexadecimal digits", at_);
      // Oniguruma takes it as a byte, which is a character below 80 only.
      if (peek(2) > '7') fail("\\x above 7F", at_);
      return copy(4);
    }
    if (c == 'd') return replace(2, "\\p{Nd}");
    if (c == 'D') return replace(2, "\\P{Nd}");
    if (c == 'v') return replace(2, "\\x{b}");
    const bool control = std::string_view("rntfae").find(c) != std::string_view::npos;
    if (!control && (is_alphanumeric(c) || static_cast<unsigned char>(c) >= 0x80)) {
      fail(fmt::format("\\{}", c), at_);
    }
    copy(2);
  }

  void property() {
    const std::size_t close = pattern_.find('}', at_);
    if (peek(2) != '{' || close == std::string_view::npos) fail("\\p without {name}", at_);
    bool inverted = peek(1) == 'P';
    std::string_view name = pattern_.substr(at_ + 3, close - at_ - 3);
    if (name.starts_with("^")) {
      inverted = !inverted;
      name.remove_prefix(1);
    }
    const bool category = std::ranges::find(kCategories, name) != kCategories.end();
    if (!category && std::ranges::find(kScripts, name) == kScripts.end()) {
      fail(fmt::format("the property {}", name), at_);
    }
    replace(close + 1 - at_, fmt::format("\\{}{{{}{}}}", inverted ? 'P' : 'p', category ? "" : "sc:", name));
  }

  std::string_view pattern_;
  std::string_view source_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string to_pcre2_syntax(std::string_view pattern, std::string_view source) {
  return Rewriter(pattern, source).run();
}

}  // namespace qvl
