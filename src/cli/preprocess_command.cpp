#include <fmt/format.h>

#include <array>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "checkpoint/preprocessor_config.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/tensor_output.h"
#include "cli/command.h"
#include "cli/input_arguments.h"
#include "cli/interrupt.h"
#include "image/decode.h"
#include "image/resize.h"
#include "models/family.h"
#include "models/picture_pixels.h"
#include "qvl/error.h"

namespace qvl::cli {
namespace {

struct PreprocessCommand {
  std::filesystem::path source;
  std::filesystem::path picture;
  std::filesystem::path out;
  std::int64_t fixed = 0;
  std::int64_t min_pixels = 0;
  std::int64_t max_pixels = 0;
  InputArguments input;
};

// Wrong usage is told before anything is read.
void check_usage(const PreprocessCommand& arguments, const PreprocessorConfig& config) {
  const std::int64_t factor = config.patch_size * config.merge_size;
  if (arguments.fixed % factor != 0) {
    throw UsageError(fmt::format("--fixed {}; a multiple of {} is expected", arguments.fixed, factor));
  }
  if (config.min_pixels > config.max_pixels) {
    throw UsageError(fmt::format("at least {} and at most {} pixels; the bounds are crossed",
                                 config.min_pixels, config.max_pixels));
  }
}

void run_preprocess(const PreprocessCommand& arguments) {
  if (arguments.fixed != 0 && (arguments.min_pixels != 0 || arguments.max_pixels != 0)) {
    throw UsageError("--fixed does not go with --min-pixels and --max-pixels");
  }
  const CancelToken& cancel = cancel_on_signal();
  PreprocessorConfig config = read_preprocessor_config(arguments.source);
  const std::shared_ptr<const Model> model = read_model(arguments.source / "config.json");
  model->require_same_pictures(config, arguments.source.string());
  const Family& family = model->family();
  if (arguments.min_pixels != 0) config.min_pixels = arguments.min_pixels;
  if (arguments.max_pixels != 0) config.max_pixels = arguments.max_pixels;
  check_usage(arguments, config);
  require_result_place(arguments.out, "--out", std::array{arguments.picture});
  const RgbImage picture = read_image(arguments.picture, {.alpha = arguments.input.options().alpha});
  family.require_usable_shape(picture.size(), arguments.picture.string());
  const PixelSize size = arguments.fixed != 0 ? PixelSize{arguments.fixed, arguments.fixed}
                                              : family.resized(picture.size(), config);
  const RgbImage resized = resize_bicubic(picture, size);
  Tensor pixels = normalised_pixels(resized, config);
  if (arguments.fixed == 0) pixels = family.patches(pixels, config);
  const std::vector<std::int64_t> grid = family.grid_of(size, config);
  const std::vector<NamedTensor> tensors{
      {"rgb", {DType::u8, {size.height, size.width, RgbImage::kChannels}, std::as_bytes(resized.pixels())}},
      {"pixel_values", pixels.view()},
      {"image_grid_thw", {DType::i64, {1, 3}, std::as_bytes(std::span(grid))}}};
  cancel.throw_if_cancelled();
  write_safetensors(arguments.out, tensors, result_metadata());
  const nlohmann::ordered_json json{{"oriented", {picture.height(), picture.width()}},
                                    {"resized", {size.height, size.width}},
                                    {"grid_thw", grid}};
  std::cout << json.dump() << "\n";
}

}  // namespace

void add_preprocess(CLI::App& app) {
  auto arguments = std::make_shared<PreprocessCommand>();
  CLI::App* command = app.add_subcommand("preprocess", "A picture as the model is given it");
  command->add_option("SOURCE", arguments->source, "Checkpoint or model folder")->required();
  command->add_option("PICTURE", arguments->picture, "PNG, JPEG, WebP, GIF or BMP")->required();
  command->add_option("--fixed", arguments->fixed, "Stretch to a square of this side instead of smart_resize")
      ->check(CLI::Range(1, 100000));
  command->add_option("--min-pixels", arguments->min_pixels, "Instead of preprocessor_config.json's")
      ->check(CLI::PositiveNumber);
  command->add_option("--max-pixels", arguments->max_pixels, "Instead of preprocessor_config.json's")
      ->check(CLI::PositiveNumber);
  arguments->input.add_alpha_to(*command);
  command->add_option("--out", arguments->out, "safetensors file to write")->required();
  command->footer(
      "Prints {\"oriented\": [h, w], \"resized\": [h, w], \"grid_thw\": [t, h, w]}. The file holds rgb u8 "
      "[h, w, 3],\n"
      "pixel_values f32 ([patches, 1176], or [1, 3, side, side] with --fixed) and image_grid_thw i64 [1, "
      "3].\n\n"
      "Example:\n  qvl preprocess demo/shapes-vl demo/pictures/shapes.jpg --out pixels.safetensors");
  command->callback([arguments] { run_preprocess(*arguments); });
}

}  // namespace qvl::cli
