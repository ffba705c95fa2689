// Whether a folder's chat template is one that its family writes.
#pragma once

#include <filesystem>

#include "models/family.h"
#include "qvl/input.h"

namespace qvl {

// Throws InputError for another template unless input.any_chat_template; a folder without one, for which
// transformers refuses to write prompts, is a warning.
void require_known_template(const std::filesystem::path& folder, const Family& family,
                            const InputOptions& input);

}  // namespace qvl
