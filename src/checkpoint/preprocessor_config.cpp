#include "checkpoint/preprocessor_config.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <tuple>

#include "checkpoint/config_limits.h"
#include "core/json_fields.h"
#include "core/json_text.h"
#include "core/text_file.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::int64_t kMaxPixels = std::int64_t{1} << 31U;

// A whole number, which may be written as a float: the reference only compares it with products of sides.
void read_limit(const JsonFields& fields, const char* name, std::int64_t& out) {
  const Json* value = fields.find(name);
  if (value != nullptr && value->is_number_float()) {
    const double number = value->get<double>();
    if (number >= 1 && number <= static_cast<double>(kMaxPixels) && number == std::floor(number)) {
      out = static_cast<std::int64_t>(number);
      return;
    }
  }
  fields.read_int(name, 1, kMaxPixels, out);
}

// What `size` says, which must be whole once min_pixels and max_pixels have been put into it.
void read_size(const JsonFields& fields, const Json& size, PreprocessorConfig& config) {
  constexpr const char* kExpected =
      "\"shortest_edge\" and \"longest_edge\", the least and the most pixels of a picture, are expected";
  if (!size.is_object()) {
    fields.problem("size", fmt::format("is {}; an object with {}", shown(size), kExpected));
    return;
  }
  const JsonFields edges = fields.object_or_empty("size");
  for (const auto& [old_name, new_name, out] :
       {std::tuple{"min_pixels", "shortest_edge", &config.min_pixels},
        std::tuple{"max_pixels", "longest_edge", &config.max_pixels}}) {
    if (fields.has(old_name)) continue;
    if (edges.has(new_name)) {
      read_limit(edges, new_name, *out);
    } else {
      fields.problem("size", fmt::format("has no {}, and there is no {}; {}", new_name, old_name, kExpected));
    }
  }
  for (const auto& [name, value] : size.items()) {
    const bool edge = name == "shortest_edge" || name == "longest_edge";
    // The reference drops these two where they stand beside `size`, too.
    const bool twice = (name == "min_pixels" || name == "max_pixels") && fields.has(name.c_str());
    if (!edge && !twice) fields.problem("size", fmt::format("has {}; only {}", shown(Json(name)), kExpected));
  }
}

void read_pixels(const JsonFields& fields, PreprocessorConfig& config) {
  if (fields.has("min_pixels")) read_limit(fields, "min_pixels", config.min_pixels);
  if (fields.has("max_pixels")) read_limit(fields, "max_pixels", config.max_pixels);
  if (const Json* size = fields.find("size")) read_size(fields, *size, config);
  if (config.min_pixels > config.max_pixels) {
    fields.problem("min_pixels", fmt::format("is {}; at most max_pixels, {}, is expected", config.min_pixels,
                                             config.max_pixels));
  }
}

// One number for each of red, green and blue, or one for all.
void read_channels(const JsonFields& fields, const char* name, bool positive, std::array<double, 3>& out) {
  const Json* value = fields.find(name);
  if (value == nullptr) return;
  const auto good = [positive](const Json& channel) {
    return channel.is_number() && std::abs(channel.get<double>()) <= 1e3 &&
           (!positive || channel.get<double>() >= 1e-6);
  };
  if (good(*value)) {
    out.fill(value->get<double>());
    return;
  }
  bool fits = value->is_array() && value->size() == out.size();
  for (std::size_t i = 0; fits && i < out.size(); ++i) fits = good((*value)[i]);
  if (!fits) {
    fields.problem(name, fmt::format("is {}; three {}numbers are expected", value->dump().substr(0, 60),
                                     positive ? "positive " : ""));
    return;
  }
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = (*value)[i].get<double>();
}

bool switched_on(const JsonFields& fields, const char* step) {
  bool wanted = true;
  if (fields.has(step)) fields.read_bool(step, wanted);
  return wanted;
}

// (x * factor - mean) / deviation of the file as (x / 255 - mean) / deviation.
void read_scale(const JsonFields& fields, PreprocessorConfig& config) {
  double factor = 1.0 / 255.0;
  if (fields.has("rescale_factor")) fields.read_number_above("rescale_factor", 0.0, 1e3, factor);
  if (!switched_on(fields, "do_rescale")) factor = 1.0;
  if (!switched_on(fields, "do_normalize")) {
    config.image_mean.fill(0.0);
    config.image_std.fill(1.0);
  }
  const double wider = factor * 255.0;
  if (std::abs(wider - 1.0) <= 1e-6) return;  // 1/255 written with fewer digits
  for (double& mean : config.image_mean) mean /= wider;
  for (double& deviation : config.image_std) deviation /= wider;
}

// The steps are fixed: convert to RGB, resize by bicubic interpolation, scale and normalise.
void refuse_other_steps(const JsonFields& fields) {
  constexpr std::int64_t kBicubic = 3;  // PIL.Image.Resampling.BICUBIC
  for (const char* step : {"do_resize", "do_convert_rgb"}) {
    if (!switched_on(fields, step))
      fields.problem(step, "is false; a picture is always converted to RGB and resized here");
  }
  std::int64_t resample = kBicubic;
  if (fields.has("resample")) fields.read_int("resample", 0, 5, resample);
  if (resample != kBicubic) {
    fields.problem("resample", fmt::format("is {}; only bicubic, {}, is supported", resample, kBicubic));
  }
  std::string type = "Qwen2VLImageProcessor";
  fields.read_optional("image_processor_type", type);
  if (!type.starts_with("Qwen2VLImageProcessor") && !type.starts_with("Qwen2_5_VLImageProcessor")) {
    fields.problem("image_processor_type",
                   fmt::format("is {}; \"Qwen2VLImageProcessor\" is expected", shown(Json(type))));
  }
}

PreprocessorConfig from_fields(const JsonFields& fields) {
  PreprocessorConfig config;
  read_pixels(fields, config);
  if (fields.has("patch_size")) fields.read_int("patch_size", 1, 4096, config.patch_size);
  if (fields.has("temporal_patch_size"))
    fields.read_int("temporal_patch_size", 1, 64, config.temporal_patch_size);
  if (fields.has("merge_size")) fields.read_int("merge_size", 1, 16, config.merge_size);
  read_channels(fields, "image_mean", false, config.image_mean);
  read_channels(fields, "image_std", true, config.image_std);
  read_scale(fields, config);
  refuse_other_steps(fields);
  return config;
}

}  // namespace

PreprocessorConfig parse_preprocessor_config(std::string_view json, std::string_view source) {
  const Json root = parse_json(json, source);
  JsonProblems problems(source);
  const JsonFields top(root, problems);
  const PreprocessorConfig config =
      from_fields(top.has("image_processor") ? top.object_or_empty("image_processor") : top);
  problems.throw_if_any();
  return config;
}

PreprocessorConfig read_preprocessor_config(const std::filesystem::path& folder) {
  std::error_code ignored;
  const std::filesystem::path nested = folder / "processor_config.json";
  const std::filesystem::path file = folder / "preprocessor_config.json";
  const bool has_file = std::filesystem::exists(file, ignored);
  if (std::filesystem::exists(nested, ignored)) {
    const std::string text = read_text_file(nested, kMaxConfigBytes);
    const Json root = parse_json(text, nested.string());
    if (!has_file || (root.is_object() && root.contains("image_processor")))
      return parse_preprocessor_config(text, nested.string());
  } else if (!has_file) {
    throw InputError(fmt::format(
        "no preprocessor_config.json in {}; a checkpoint folder as on the Hugging Face hub is expected",
        folder.string()));
  }
  return parse_preprocessor_config(read_text_file(file, kMaxConfigBytes), file.string());
}

}  // namespace qvl
