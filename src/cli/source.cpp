#include "cli/source.h"

#include <fmt/format.h>

#include <iostream>
#include <iterator>

#include "qvl/error.h"

namespace qvl::cli {

std::filesystem::path tokenizer_of(const std::filesystem::path& source) {
  if (std::filesystem::is_regular_file(source)) return source;
  std::filesystem::path file = source / "tokenizer.json";
  if (!std::filesystem::is_regular_file(file)) {
    throw InputError(
        fmt::format("{} is neither a tokenizer.json nor a folder that holds one", source.string()));
  }
  return file;
}

std::string read_stdin() {
  try {
    return {std::istreambuf_iterator<char>(std::cin), {}};
  } catch (const std::ios_base::failure&) {
    throw InputError("stdin cannot be read");
  }
}

}  // namespace qvl::cli
