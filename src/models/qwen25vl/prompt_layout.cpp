#include "models/qwen25vl/prompt_layout.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <string>

#include "qvl/error.h"
#include "text/tokenizer.h"

namespace qvl {

std::vector<std::int64_t> expand_image_tokens(std::span<const std::int64_t> ids,
                                              std::span<const std::int64_t> tokens_per_picture,
                                              std::int64_t image_token_id) {
  std::vector<std::int64_t> expanded;
  std::size_t picture = 0;
  for (const std::int64_t id : ids) {
    if (id != image_token_id) {
      expanded.push_back(id);
      continue;
    }
    if (picture < tokens_per_picture.size()) {
      expanded.insert(expanded.end(), static_cast<std::size_t>(tokens_per_picture[picture]), id);
    }
    ++picture;
  }
  if (picture != tokens_per_picture.size()) {
    throw InputError(
        fmt::format("the prompt has {} image tokens for {} pictures; each picture needs one (does the text "
                    "itself contain the image token?)",
                    picture, tokens_per_picture.size()));
  }
  return expanded;
}

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

}  // namespace qvl
