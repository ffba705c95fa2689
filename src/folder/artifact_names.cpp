#include "folder/artifact_names.h"

#include <algorithm>
#include <cctype>

namespace qvl {

std::string stem_of(std::string_view folder_name, const Model& model) {
  if (const auto published = model.published_stem()) return *published;
  std::string stem;
  for (const char c : folder_name) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x80U && std::isalnum(u) != 0) {
      stem += static_cast<char>(std::tolower(u));
    } else if (!stem.empty() && stem.back() != '_') {
      stem += '_';
    }
  }
  while (stem.ends_with('_')) stem.pop_back();
  // Folders may have longer names than is good for files.
  return stem.empty() ? "model" : stem.substr(0, 100);
}

bool is_valid_stem(const std::string& stem) noexcept {
  constexpr std::size_t kLongest = 100;
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !stem.empty() && stem.size() <= kLongest && stem.front() != '.' && std::ranges::all_of(stem, fits);
}

}  // namespace qvl
