#include "models/known_template.h"

#include <fmt/format.h>

#include <string_view>

#include "qvl/error.h"
#include "text/folder_template.h"

namespace qvl {

void require_known_template(const std::filesystem::path& folder, const Family& family,
                            const InputOptions& input) {
  if (input.any_chat_template) return;
  const FolderTemplate found =
      template_of(folder, [&](std::string_view text) { return family.knows_template(text); });
  if (found.kind == FolderTemplate::Kind::none) {
    input.warn(fmt::format(
        "{} has no chat template; prompts are written as {}'s does (--chat-template qwen says that this is "
        "meant)",
        folder.string(), family.name()));
  }
  if (found.kind != FolderTemplate::Kind::other) return;
  throw InputError(fmt::format(
      "the chat template in {0} is not {1}'s as published, and qvl renders no other: prompts would be other "
      "ones than the model was trained with (--chat-template qwen writes them as {1}'s does, which is right "
      "where this one only has another wording)",
      (folder / found.file).string(), family.name()));
}

}  // namespace qvl
