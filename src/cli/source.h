// SOURCE of the commands: a checkpoint or a model folder, or for some a tokenizer.json.
#pragma once

#include <filesystem>
#include <string>

namespace qvl::cli {

// `source` itself when it is a file, else its tokenizer.json. Throws InputError when there is none.
std::filesystem::path tokenizer_of(const std::filesystem::path& source);

// Everything on stdin, to its end.
std::string read_stdin();

}  // namespace qvl::cli
