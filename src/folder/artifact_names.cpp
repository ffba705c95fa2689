#include "folder/artifact_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "models/qwen25vl/published_sizes.h"

namespace qvl {

std::string stem_of(std::string_view folder_name, const ModelConfig& config) {
  if (const auto size = published_size(config.text)) return fmt::format("qwen2_5_vl_{}", *size);
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

std::string name(Artifact artifact) {
  switch (artifact) {
    case Artifact::vision:
      return "vision";
    case Artifact::text:
      return "text";
    case Artifact::text_with_image:
      return "text_with_image";
  }
  return "?";
}

std::string file_name(Artifact artifact, const std::string& stem, const ExportOptions& options) {
  if (artifact == Artifact::vision) {
    const std::string size =
        options.image_width_pixels == options.image_height_pixels
            ? fmt::format("{}", options.image_width_pixels)
            : fmt::format("{}x{}", options.image_width_pixels, options.image_height_pixels);
    return fmt::format("{}_vision_{}_fp32.onnx", stem, size);
  }
  return fmt::format("{}_{}_{}.onnx", stem, name(artifact), options.text_in_f32 ? "fp32" : "fp16");
}

}  // namespace qvl
