// Which chat template a folder has.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

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
// `known` tells whether a text is a template whose behaviour qvl has.
[[nodiscard]] FolderTemplate template_of(const std::filesystem::path& folder,
                                         const std::function<bool(std::string_view)>& known);

}  // namespace qvl
