#include "checkpoint/safetensors.h"

#include <fmt/format.h>

#include <functional>

#include "core/message_quote.h"
#include "qvl/error.h"

namespace qvl {

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(path), header_(parse_safetensors_header(file_.bytes(), path.string())) {
  by_name_.reserve(header_.entries.size());
  for (std::size_t i = 0; i < header_.entries.size(); ++i) by_name_.emplace(header_.entries[i].name, i);
}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &header_.entries[found->second];
}

TensorView SafetensorsFile::tensor(std::string_view name) const {
  const TensorEntry* entry = find(name);
  if (entry == nullptr)
    throw InputError(fmt::format("{} has no tensor {}", path().string(), quote_for_message(name)));
  return tensor(*entry);
}

TensorView SafetensorsFile::tensor(const TensorEntry& entry) const {
  return {entry.dtype, entry.shape, file_.bytes().subspan(entry.begin_bytes, entry.size_bytes())};
}

}  // namespace qvl
