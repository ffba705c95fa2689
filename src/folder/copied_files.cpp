#include "folder/copied_files.h"

#include <array>

namespace qvl {
namespace {

constexpr std::array<std::string_view, 12> kCopiedFiles{"config.json",
                                                        "generation_config.json",
                                                        "preprocessor_config.json",
                                                        "processor_config.json",
                                                        "tokenizer.json",
                                                        "tokenizer_config.json",
                                                        "chat_template.json",
                                                        "chat_template.jinja",
                                                        "special_tokens_map.json",
                                                        "added_tokens.json",
                                                        "vocab.json",
                                                        "merges.txt"};

}  // namespace

std::span<const std::string_view> copied_files() { return kCopiedFiles; }

}  // namespace qvl
