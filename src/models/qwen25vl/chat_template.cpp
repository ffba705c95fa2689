#include "models/qwen25vl/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/sha256.h"

namespace qvl::qwen25vl {
namespace {

// SHA-256 of the texts, as `normalised` leaves them. Nothing here renders templates, so a template is known
// by its text; one of the same behaviour in other words is not.
constexpr std::array<std::string_view, 2> kKnown{
    // Published with Qwen2-VL and Qwen2.5-VL of all sizes (chat_template.json).
    "a0bc6f6fc7a29a80017a433e8f03a1cc1236e838a944a2d034295a60c4f2fddb",
    // That of the demo checkpoint: the same, without videos.
    "5033d7a2c30d91821e0fa53466ff2e976dc4d493a89445100374be255651c34d",
};

// Line ends of one kind; a line end behind the text, which Jinja drops, is none.
std::string normalised(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out += text[i];
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

}  // namespace

bool is_known_template(std::string_view text) {
  return std::ranges::find(kKnown, sha256_of(normalised(text))) != kKnown.end();
}

std::string render_chat(std::span<const ChatMessage> messages, const ChatOptions& options) {
  std::string out;
  std::size_t pictures = 0;
  if (!messages.empty() && messages[0].role != "system") {
    out += "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n";
  }
  for (const ChatMessage& message : messages) {
    out += fmt::format("<|im_start|>{}\n", message.role);
    for (const ChatPart& part : message.parts) {
      if (part.kind == ChatPart::Kind::text) {
        out += part.value;
        continue;
      }
      ++pictures;
      if (options.add_vision_id) out += fmt::format("Picture {}: ", pictures);
      out += "<|vision_start|><|image_pad|><|vision_end|>";
    }
    out += "<|im_end|>\n";
  }
  if (options.add_generation_prompt) out += "<|im_start|>assistant\n";
  return out;
}

}  // namespace qvl::qwen25vl
