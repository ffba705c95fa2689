#include "cli/export_arguments.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "models/artifact_set.h"

namespace qvl::cli {
namespace {

std::int64_t pixels(std::string_view text, std::string_view whole) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value <= 0 || value > 100'000) {
    throw UsageError(
        fmt::format("--image-size {}; a side in pixels (672) or WIDTHxHEIGHT (252x420) is expected", whole));
  }
  return value;
}

// Told before anything is read.
void require_artifacts(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (find_artifact(kReferenceSet, name) != nullptr) continue;
    throw UsageError(fmt::format("--only {}; vision, text and text_with_image can be had", name));
  }
}

}  // namespace

PixelSize parse_image_size(const std::string& text) {
  const std::size_t x = text.find('x');
  const std::int64_t width = pixels(std::string_view(text).substr(0, x), text);
  return {x == std::string::npos ? width : pixels(std::string_view(text).substr(x + 1), text), width};
}

void add_hard_link(CLI::App& command, bool& hard_link) {
  CLI::Option* link = command.add_flag(
      "--hard-link", hard_link,
      "Equal data files as hard links of one file, which Python's onnx refuses. Without it each is a file of "
      "its own, which takes no space where the file system shares blocks");
  const CLI::Option* copy = command.add_flag("--copy-data")->group("");
  link->check(
      [copy](const std::string&) { return copy->count() > 0 ? "--copy-data asks for the opposite" : ""; }, "",
      "");
}

CLI::Option* ArtifactArguments::add_to(CLI::App& command) {
  command
      .add_option("--image-size", image_size,
                  "Fixed picture size in pixels: a side or WIDTHxHEIGHT, multiples of 28")
      ->capture_default_str();
  command.add_option("--mask-type", mask_type, "Type of attention_mask")
      ->check(CLI::IsMember({"int64", "bool"}))
      ->capture_default_str();
  command.add_option("--text-dtype", text_dtype, "Type of the text artifacts; f32 names them …_fp32.onnx")
      ->check(CLI::IsMember({"f16", "f32"}))
      ->capture_default_str();
  command.add_flag(
      "--tied-head", tied_head,
      "A tied lm_head reads the table of token embeddings, stored once, through a Gemm. Without "
      "it lm_head has a weight of its own, which other tools take: 0.6 GB more for the 3B in f16");
  add_hard_link(command, hard_link);
  return command.add_option("--only", only, "Some of the artifacts: vision,text,text_with_image")
      ->delimiter(',');
}

void ArtifactArguments::apply_to(ExportOptions& options) const {
  const PixelSize size = parse_image_size(image_size);
  options.image_width_pixels = size.width;
  options.image_height_pixels = size.height;
  require_artifacts(only);
  options.only = only;
  options.mask_type = mask_type == "bool" ? MaskType::boolean : MaskType::int64;
  options.text_in_f32 = text_dtype == "f32";
  options.tied_head = tied_head;
  options.hard_link = hard_link;
}

}  // namespace qvl::cli
