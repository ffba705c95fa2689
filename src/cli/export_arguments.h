// Options of `qvl export` that other commands have too.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "image/pixel_size.h"
#include "qvl/export.h"

namespace qvl::cli {

// What is made of a checkpoint: --image-size, --mask-type, --text-dtype, --tied-head and --only; and how
// equal data files are stored.
struct ArtifactArguments {
  std::string image_size = "672";
  std::string mask_type = "int64";
  std::string text_dtype = "f16";
  std::vector<std::string> only;
  bool tied_head = false;
  bool hard_link = false;

  // Returns the option --only, which takes all words that follow it unless it is told not to.
  CLI::Option* add_to(CLI::App& command);
  // Throws UsageError for values that cannot be.
  void apply_to(ExportOptions& options) const;
};

// --hard-link, and --copy-data, which asks for what is done without either: older scripts name it.
void add_hard_link(CLI::App& command, bool& hard_link);

// "672" (both sides) or "252x420" (width, height) in pixels. Throws UsageError.
[[nodiscard]] PixelSize parse_image_size(const std::string& text);

}  // namespace qvl::cli
