#include "text/chat_template.h"

#include <fmt/format.h>

namespace qvl {

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

}  // namespace qvl
