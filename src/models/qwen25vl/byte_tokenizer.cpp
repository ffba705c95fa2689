#include "models/qwen25vl/byte_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "core/json_text.h"
#include "qvl/error.h"
#include "text/byte_level.h"

namespace qvl::qwen25vl {
namespace {

// In the order of their ids; the tokenizer of Qwen2.5-VL marks the second group as not special.
constexpr std::array<std::string_view, 14> kSpecial{
    "<|endoftext|>",  "<|im_start|>",   "<|im_end|>",     "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>",  "<|box_end|>",    "<|quad_start|>", "<|quad_end|>",         "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>",  "<|video_pad|>"};
constexpr std::array<std::string_view, 8> kPlain{"<tool_call>",    "</tool_call>",   "<|fim_prefix|>",
                                                 "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
                                                 "<|repo_name|>",  "<|file_sep|>"};
constexpr std::string_view kImage = "<|image_pad|>";

// The pattern that Qwen2.5's tokenizer.json has.
constexpr std::string_view kSplit =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::int64_t kBytes = 256;

// The bytes' letters by code point, which is the order that GPT-2's and Qwen2.5's vocabularies begin with.
std::vector<std::string> byte_letters() {
  std::vector<std::string> letters;
  for (unsigned byte = 0; byte < kBytes; ++byte) {
    const char character = static_cast<char>(static_cast<unsigned char>(byte));
    letters.push_back(to_byte_letters({&character, 1}));
  }
  std::sort(letters.begin(), letters.end());
  return letters;
}

std::string added_token(std::int64_t id, std::string_view content, bool special) {
  return fmt::format(
      R"({{"id":{},"content":"{}","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":{}}})",
      id, content, special);
}

}  // namespace

std::string byte_tokenizer_json(std::int64_t image_token_id) {
  const auto image = std::find(kSpecial.begin(), kSpecial.end(), kImage) - kSpecial.begin();
  const std::int64_t first = image_token_id - image;
  if (first < kBytes) {
    throw UsageError(
        fmt::format("the image token's id is {}; with 256 byte tokens and the special tokens before "
                    "it, {} is the least possible",
                    image_token_id, kBytes + image));
  }
  std::string text = R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":[)";
  std::int64_t id = first;
  for (const std::string_view content : kSpecial) text += added_token(id++, content, true) + ",\n";
  for (const std::string_view content : kPlain) text += added_token(id++, content, false) + ",\n";
  text.resize(text.size() - 2);
  const std::string byte_level =
      R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false})";
  text += fmt::format(
      R"(],"normalizer":{{"type":"NFC"}},"pre_tokenizer":{{"type":"Sequence","pretokenizers":[{{"type":"Split","pattern":{{"Regex":{}}},"behavior":"Isolated","invert":false}},{}]}},"post_processor":{},"decoder":{},)",
      Json(std::string(kSplit)).dump(), byte_level, byte_level, byte_level);
  text +=
      R"("model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":"","end_of_word_suffix":"","fuse_unk":false,"byte_fallback":false,"ignore_merges":false,"vocab":{)";
  id = 0;
  for (const std::string& letter : byte_letters()) {
    text += fmt::format("{}:{},\n", Json(letter).dump(), id++);
  }
  for (; id < first; ++id) text += fmt::format("\"{}<{}>\":{},\n", to_byte_letters(" "), id, id);
  text.resize(text.size() - 2);
  return text + R"(},"merges":[]}})" + "\n";
}

}  // namespace qvl::qwen25vl
