#include "models/qwen25vl/chat_tokens.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>

#include "qvl/error.h"
#include "text/tokenizer.h"

namespace qvl::qwen25vl {

void require_chat_tokens(const Tokenizer& tokenizer, const ModelConfig& config, std::string_view source) {
  struct Needed {
    std::string_view content;
    std::optional<std::int64_t> id;  // what config.json says
  };
  const std::array needed{Needed{"<|im_start|>", std::nullopt}, Needed{"<|im_end|>", std::nullopt},
                          Needed{"<|vision_start|>", config.vision_start_token_id},
                          Needed{"<|vision_end|>", config.vision_end_token_id},
                          Needed{"<|image_pad|>", config.image_token_id}};
  std::string problems;
  for (const Needed& n : needed) {
    const auto found = tokenizer.token_id(n.content);
    if (!found) {
      problems += fmt::format("\n  {} is missing", n.content);
    } else if (n.id && *n.id >= 0 && *n.id != *found) {
      problems += fmt::format("\n  {} has the id {}; config.json says {}", n.content, *found, *n.id);
    }
  }
  if (!problems.empty()) {
    throw InputError(
        fmt::format("{} does not have the tokens that the chat template needs:{}", source, problems));
  }
}

}  // namespace qvl::qwen25vl
