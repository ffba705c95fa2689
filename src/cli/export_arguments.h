// Options of `qvl export` that other commands have too.
#pragma once

#include <string>
#include <vector>

#include "image/pixel_size.h"
#include "qvl/export.h"

namespace qvl::cli {

// "672" (both sides) or "252x420" (width, height) in pixels. Throws UsageError.
[[nodiscard]] PixelSize parse_image_size(const std::string& text);

// "vision", "text", "text_with_image". Throws UsageError.
[[nodiscard]] std::vector<Artifact> parse_artifacts(const std::vector<std::string>& names);

}  // namespace qvl::cli
