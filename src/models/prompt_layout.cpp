#include "models/prompt_layout.h"

#include <fmt/format.h>

#include "qvl/error.h"

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

}  // namespace qvl
