#include "engine/chat_prompt.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/family.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::int64_t kDefaultMaxNewTokens = 512;

}  // namespace

std::vector<std::int64_t> chat_prompt_ids(const ModelFolder& folder, const Tokenizer& tokenizer,
                                          std::span<const ChatMessage> messages) {
  std::size_t pictures = 0;
  for (const ChatMessage& message : messages) {
    for (const ChatPart& part : message.parts) pictures += part.kind == ChatPart::Kind::image ? 1U : 0U;
  }
  std::vector<std::int64_t> per_picture;
  if (pictures > 0)
    per_picture.assign(pictures, folder.model().facts().picture_tokens(folder.picture_size()));
  const std::vector<TokenId> ids = tokenizer.encode(folder.model().family().render_chat(messages));
  const std::int64_t vocabulary = folder.model().facts().vocab_size;
  for (const TokenId id : ids) {
    if (id < vocabulary) continue;
    throw InputError(fmt::format("{}: {} has the id {}, and the model has embeddings for {} tokens only",
                                 folder.tokenizer().string(), tokenizer.token(id), id, vocabulary));
  }
  return folder.model().lay_out_prompt(ids, per_picture);
}

std::int64_t answer_limit(const ModelFolder& folder, std::span<const std::int64_t> prompt,
                          std::int64_t max_new_tokens) {
  const auto length = static_cast<std::int64_t>(prompt.size());
  const std::int64_t most = folder.model().facts().max_position_embeddings;
  if (length >= most) {
    throw InputError(
        fmt::format("the prompt has {} tokens, {} of them of pictures; the model takes fewer than {}", length,
                    std::ranges::count(prompt, folder.model().facts().image_token_id), most));
  }
  const std::int64_t limit =
      max_new_tokens > 0 ? max_new_tokens : folder.generation().max_new_tokens.value_or(kDefaultMaxNewTokens);
  return std::min(limit, most - length);
}

}  // namespace qvl
