// Whether a folder's chat template is the one that render_chat writes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "qvl/input.h"

namespace qvl {

struct FolderTemplate {
  enum class Kind { none, known, other };
  Kind kind = Kind::none;
  std::string file;  // that has another one: its name, for messages
};

// Where transformers 5.24 looks: `chat_template` of processor_config.json, chat_template.json and
// chat_template.jinja are the processor's, the last of them the tokenizer's, too; `chat_template` of
// tokenizer_config.json counts where none of these is there. Where several of the first three are there, all
// must be known: processor and tokenizer do not take the same. Of a list of named templates the one called
// "default" counts. Throws InputError for files that cannot be read.
[[nodiscard]] FolderTemplate template_of(const std::filesystem::path& folder);

// True for the texts whose behaviour render_chat has: that published with Qwen2.5-VL, and that of the demo.
[[nodiscard]] bool is_known_template(std::string_view text);

// Throws InputError for another template unless input.any_chat_template; a folder without one, for which
// transformers refuses to write prompts, is a warning.
void require_known_template(const std::filesystem::path& folder, const InputOptions& input);

}  // namespace qvl
