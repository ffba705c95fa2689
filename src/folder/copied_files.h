// The small files of a checkpoint that a model folder has, too: configs, tokenizer, chat template.
#pragma once

#include <span>
#include <string_view>

namespace qvl {

// Their names; a checkpoint has some of them. They are copied as they are.
[[nodiscard]] std::span<const std::string_view> copied_files();

}  // namespace qvl
