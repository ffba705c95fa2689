#include "core/text_file.h"

#include <fmt/format.h>

#include "core/mapped_file.h"
#include "qvl/error.h"

namespace qvl {

std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes) {
  const MappedFile file(path);
  if (file.bytes().size() > max_bytes) {
    throw InputError(fmt::format("{} has {} bytes; at most {} are expected", path.string(),
                                 file.bytes().size(), max_bytes));
  }
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace qvl
