#include "text/regex_syntax.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

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
  for (const CodePointRange& range : white_space_ranges()) {
    if (inverted) {
      add(next, range.first - 1);
    } else {
      add(range.first, range.last);
    }
    next = range.last + 1;
  }
  if (inverted) add(next, 0x10FFFF);
  return set;
}

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
  [[nodiscard]] bool starts(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  void copy(std::size_t count) {
    out_ += pattern_.substr(at_, count);
    at_ += count;
  }

  void item() {
    const char c = pattern_[at_];
    switch (c) {
      case '\\':
        escape(false);
        break;
      case '[':
        set();
        break;
      case '(':
        group();
        break;
      case '?':
      case '*':
      case '+':
        quantifier();
        break;
      case '{':
        interval();
        break;
      case '^':
      case '$':
        fail("an anchor", at_);
      default:
        copy(1);
    }
  }

  void group() {
    constexpr std::array<std::string_view, 7> kKinds = {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    if (!starts("(?") && !starts("(*")) {
      // Nothing asks what a group captured.
      out_ += "(?:";
      ++at_;
      return;
    }
    const auto* kind =
        std::find_if(kKinds.begin(), kKinds.end(), [this](std::string_view k) { return starts(k); });
    if (kind == kKinds.end()) fail("this kind of group", at_);
    copy(kind->size());
  }

  void quantifier() {
    copy(1);
    if (at_ < pattern_.size() && (pattern_[at_] == '?' || pattern_[at_] == '+')) copy(1);
    if (at_ < pattern_.size() && std::string_view("?*+{").find(pattern_[at_]) != std::string_view::npos) {
      fail("a quantifier of a quantifier", at_);
    }
  }

  void interval() {
    const std::size_t start = at_++;
    const std::size_t low = number(start);
    bool range = false;
    if (starts(",")) {
      ++at_;
      range = true;
      if (at_ < pattern_.size() && is_digit(pattern_[at_]) && number(start) < low)
        fail("an interval that ends first", start);
    }
    if (!starts("}")) fail("a brace that is not {n}, {n,} or {n,m}", start);
    ++at_;
    if (range && starts("?")) ++at_;
    if (at_ < pattern_.size() && std::string_view("?*+{").find(pattern_[at_]) != std::string_view::npos) {
      fail("a quantifier of a quantifier", at_);
    }
    out_ += pattern_.substr(start, at_ - start);
  }

  std::size_t number(std::size_t start) {
    std::size_t value = 0;
    const std::size_t first = at_;
    for (; at_ < pattern_.size() && is_digit(pattern_[at_]) && at_ - first < 5; ++at_) {
      value = value * 10 + static_cast<std::size_t>(pattern_[at_] - '0');
    }
    if (at_ == first) fail("a brace that is not {n}, {n,} or {n,m}", start);
    return value;
  }

  void set() {
    const std::size_t start = at_;
    copy(1);
    if (starts("^")) copy(1);
    if (starts("]")) fail("an empty set", start);
    while (!starts("]")) {
      if (at_ == pattern_.size()) fail("a set without its ]", start);
      if (pattern_[at_] == '[') fail("a set inside a set", at_);
      if (starts("&&")) fail("an intersection of sets", at_);
      if (pattern_[at_] == '\\') {
        escape(true);
      } else {
        copy(1);
      }
    }
    copy(1);
  }

  void escape(bool in_set) {
    const std::size_t start = at_;
    if (at_ + 1 == pattern_.size()) fail("a backslash at the end", start);
    const char c = pattern_[at_ + 1];
    switch (c) {
      case 's':
      case 'S':
        out_ += fmt::format("{}{}{}", in_set ? "" : "[", white_space(c == 'S'), in_set ? "" : "]");
        at_ += 2;
        return;
      case 'd':
        out_ += "\\p{Nd}";
        at_ += 2;
        return;
      case 'D':
        out_ += "\\P{Nd}";
        at_ += 2;
        return;
      case 'v':
        out_ += "\\x{b}";
        at_ += 2;
        return;
      case 'p':
      case 'P':
        property();
        return;
      case 'x':
        if (pattern_.size() - at_ < 4 || !is_hex(pattern_[at_ + 2]) || !is_hex(pattern_[at_ + 3])) {
          fail("\\x without two hexadecimal digits", start);
        }
        // Oniguruma takes it as a byte, which is a character below 80 only.
        if (pattern_[at_ + 2] > '7') fail("\\x above 7F", start);
        copy(4);
        return;
      case 'r':
      case 'n':
      case 't':
      case 'f':
      case 'a':
      case 'e':
        copy(2);
        return;
      default:
        if (is_alphanumeric(c) || static_cast<unsigned char>(c) >= 0x80) fail(fmt::format("\\{}", c), start);
        copy(2);
    }
  }

  void property() {
    const std::size_t start = at_;
    const std::size_t close = pattern_.find('}', at_);
    if (pattern_.size() - at_ < 4 || pattern_[at_ + 2] != '{' || close == std::string_view::npos) {
      fail("\\p without {name}", start);
    }
    bool inverted = pattern_[at_ + 1] == 'P';
    std::string_view name = pattern_.substr(at_ + 3, close - at_ - 3);
    if (name.starts_with("^")) {
      inverted = !inverted;
      name.remove_prefix(1);
    }
    const char* script = "";
    if (std::find(kCategories.begin(), kCategories.end(), name) == kCategories.end()) {
      if (std::find(kScripts.begin(), kScripts.end(), name) == kScripts.end()) {
        fail(fmt::format("the property {}", name), start);
      }
      script = "sc:";
    }
    out_ += fmt::format("\\{}{{{}{}}}", inverted ? 'P' : 'p', script, name);
    at_ = close + 1;
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
