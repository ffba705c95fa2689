#include "checkpoint/preprocessor_config.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <tuple>

#include "checkpoint/config_fields.h"
#include "core/json_text.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::int64_t kMaxPixels = std::int64_t{1} << 31U;

void read_pixels(const ConfigFields& fields, PreprocessorConfig& config) {
  const ConfigFields size = fields.object("size");
  for (const auto& [old_name, new_name, out] :
       {std::tuple{"min_pixels", "shortest_edge", &config.min_pixels},
        std::tuple{"max_pixels", "longest_edge", &config.max_pixels}}) {
    if (fields.has(old_name)) {
      fields.read_int(old_name, 1, kMaxPixels, *out);
    } else if (size.has(new_name)) {
      size.read_int(new_name, 1, kMaxPixels, *out);
    }
  }
  if (config.min_pixels > config.max_pixels) {
    fields.problem("min_pixels", fmt::format("is {}; at most max_pixels, {}, is expected", config.min_pixels,
                                             config.max_pixels));
  }
}

// One number for each of red, green and blue.
void read_channels(const ConfigFields& fields, const char* name, bool positive, std::array<double, 3>& out) {
  const Json* value = fields.find(name);
  if (value == nullptr) return;
  bool fits = value->is_array() && value->size() == out.size();
  for (std::size_t i = 0; fits && i < out.size(); ++i) {
    const Json& channel = (*value)[i];
    fits = channel.is_number() && std::abs(channel.get<double>()) <= 1e3 &&
           (!positive || channel.get<double>() >= 1e-6);
  }
  if (!fits) {
    fields.problem(name, fmt::format("is {}; three {}numbers are expected", value->dump().substr(0, 60),
                                     positive ? "positive " : ""));
    return;
  }
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = (*value)[i].get<double>();
}

// The steps are fixed: convert to RGB, resize by bicubic interpolation, divide by 255, normalise.
void refuse_other_steps(const ConfigFields& fields) {
  constexpr std::int64_t kBicubic = 3;  // PIL.Image.Resampling.BICUBIC
  for (const char* step : {"do_resize", "do_rescale", "do_normalize", "do_convert_rgb"}) {
    bool wanted = true;
    if (fields.has(step)) fields.read_bool(step, wanted);
    if (!wanted) fields.problem(step, "is false; a picture is always resized, rescaled and normalised here");
  }
  std::int64_t resample = kBicubic;
  if (fields.has("resample")) fields.read_int("resample", 0, 5, resample);
  if (resample != kBicubic) {
    fields.problem("resample", fmt::format("is {}; only bicubic, {}, is supported", resample, kBicubic));
  }
  double factor = 1.0 / 255.0;
  if (fields.has("rescale_factor")) fields.read_number("rescale_factor", 0.0, 1.0, factor);
  if (std::abs(factor * 255.0 - 1.0) > 1e-6) {
    fields.problem("rescale_factor", fmt::format("is {}; only 1/255 is supported", factor));
  }
}

PreprocessorConfig from_fields(const ConfigFields& fields) {
  PreprocessorConfig config;
  read_pixels(fields, config);
  if (fields.has("patch_size")) fields.read_int("patch_size", 1, 4096, config.patch_size);
  if (fields.has("temporal_patch_size"))
    fields.read_int("temporal_patch_size", 1, 64, config.temporal_patch_size);
  if (fields.has("merge_size")) fields.read_int("merge_size", 1, 16, config.merge_size);
  read_channels(fields, "image_mean", false, config.image_mean);
  read_channels(fields, "image_std", true, config.image_std);
  refuse_other_steps(fields);
  return config;
}

}  // namespace

PreprocessorConfig parse_preprocessor_config(std::string_view json, std::string_view source) {
  const Json root = parse_json(json, source);
  ConfigProblems problems(source);
  const ConfigFields top(root, "", problems);
  const PreprocessorConfig config =
      from_fields(top.has("image_processor") ? top.object("image_processor") : top);
  problems.throw_if_any();
  return config;
}

PreprocessorConfig read_preprocessor_config(const std::filesystem::path& folder) {
  std::error_code ignored;
  std::filesystem::path file = folder / "preprocessor_config.json";
  if (!std::filesystem::exists(file, ignored)) {
    file = folder / "processor_config.json";
    if (!std::filesystem::exists(file, ignored)) {
      throw InputError(
          fmt::format("no preprocessor_config.json in {}; a checkpoint folder as on the Hugging Face hub "
                      "is expected",
                      folder.string()));
    }
  }
  return parse_preprocessor_config(read_text_file(file, kMaxConfigBytes), file.string());
}

}  // namespace qvl
