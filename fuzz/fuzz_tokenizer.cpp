// The input is a tokenizer.json; or, behind a first byte of 0, a text for a small tokenizer made here; or,
// behind a 1, a split pattern and a text with a zero byte between them; or, behind a 2, the JSON of a chat.
#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "models/qwen25vl/chat_template.h"
#include "qvl/error.h"
#include "text/byte_level.h"
#include "text/chat.h"
#include "text/detokenizer.h"
#include "text/regex_split.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

constexpr std::string_view kText =
    "It's <|end|> the th\u00e9 2026\r\n  e\u0301<tool>\t\u4f60\u597d \xff\U0001f99c";

std::string escaped(std::string_view letter) {
  return letter == "\"" || letter == "\\" ? fmt::format("\\{}", letter) : std::string(letter);
}

qvl::Tokenizer small_tokenizer() {
  std::string vocab;
  for (int byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(static_cast<unsigned char>(byte));
    vocab += fmt::format("\"{}\": {}, ", escaped(qvl::to_byte_letters({&character, 1})), byte);
  }
  const std::string bytes =
      R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false})";
  const std::string pattern =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*)"
      R"(|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)";
  const auto added = [](const char* content, int id, bool flag) {
    return fmt::format(R"({{"id": {}, "content": "{}", "single_word": {}, "lstrip": {}, "rstrip": {},
                            "normalized": {}, "special": {}}})",
                       id, content, !flag, flag, flag, !flag, flag);
  };
  return qvl::Tokenizer::parse(
      fmt::format(R"({{"added_tokens": [{}, {}], "normalizer": {{"type": "NFC"}}, "decoder": {},
                       "pre_tokenizer": {{"type": "Sequence", "pretokenizers": [
                         {{"type": "Split", "pattern": {{"Regex": "{}"}},
                          "behavior": "Isolated", "invert": false}},
                         {}]}},
                       "model": {{"type": "BPE", "vocab": {{{} "th": 256, "the": 257, "aa": 258,
                                  "aaaa": 259}},
                                  "merges": ["t h", "th e", "a a", "aa aa"]}}}})",
                  added("<|end|>", 260, true), added("<tool>", 261, false), bytes, pattern, bytes, vocab),
      "small");
}

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const qvl::Tokenizer& tokenizer, std::string_view text) {
  const std::vector<qvl::TokenId> ids = tokenizer.encode(text);
  const std::string decoded = tokenizer.decode(ids, false);
  require(qvl::valid_utf8_prefix(decoded) == decoded.size());
  qvl::Detokenizer detokenizer(tokenizer, false);
  std::string streamed;
  for (const qvl::TokenId id : ids) {
    require(id >= 0 && static_cast<std::size_t>(id) < tokenizer.vocab_size());
    streamed += detokenizer.push(id);
  }
  require(streamed + detokenizer.finish() == decoded);
}

void split(std::string_view input) {
  const std::size_t end = input.find('\0');
  if (end == std::string_view::npos) return;
  const std::string pattern = qvl::replace_invalid_utf8(input.substr(0, end));
  const std::string text = qvl::replace_invalid_utf8(input.substr(end + 1));
  const qvl::RegexSplitter splitter(pattern, "input");
  qvl::RegexSplitter::Workspace workspace;
  std::string joined;
  splitter.split(text, workspace, [&](std::string_view piece) {
    require(!piece.empty());
    joined += piece;
  });
  require(joined == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const qvl::Tokenizer small = small_tokenizer();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try {
    if (input.starts_with('\0')) {
      check(small, input.substr(1));
    } else if (input.starts_with('\1')) {
      split(input.substr(1));
    } else if (input.starts_with('\2')) {
      (void)qvl::qwen25vl::render_chat(qvl::parse_messages(input.substr(1), "input"));
    } else {
      check(qvl::Tokenizer::parse(input, "input"), kText);
    }
  } catch (const qvl::InputError&) {
  }
  return 0;
}
