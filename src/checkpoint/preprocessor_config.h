// How a checkpoint wants its pictures prepared: preprocessor_config.json.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace qvl {

// The initial values are what a field that the file leaves out means: the defaults of the reference class
// (Qwen2VLImageProcessor of transformers; mean and deviation are CLIP's). The published files have a
// max_pixels of their own, 12845056.
struct PreprocessorConfig {
  std::int64_t min_pixels = 56 * 56;
  std::int64_t max_pixels = 28 * 28 * 1280;
  std::int64_t patch_size = 14;          // pixels
  std::int64_t temporal_patch_size = 2;  // frames
  std::int64_t merge_size = 2;           // patches along one side of a merge block
  // Of RGB scaled to 0..1.
  std::array<double, 3> image_mean = {0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> image_std = {0.26862954, 0.26130258, 0.27577711};

  friend bool operator==(const PreprocessorConfig&, const PreprocessorConfig&) = default;
};

// As transformers 5.24 reads it: min_pixels and max_pixels go before `size.shortest_edge` and
// `size.longest_edge`, which are the same numbers in newer files; null is absent; a `size` of other keys, or
// one that leaves a limit open, is refused. do_rescale, rescale_factor and do_normalize are folded into mean
// and deviation. Refused are files that switch off another step (do_resize, do_convert_rgb), that ask for
// another resampling than bicubic, and those of another image processor. Throws one InputError with all that
// is wrong; `source` names the file in it.
[[nodiscard]] PreprocessorConfig parse_preprocessor_config(std::string_view json, std::string_view source);

// From a checkpoint or model folder: the `image_processor` of processor_config.json, which is where
// transformers 5 writes it and looks first, else preprocessor_config.json. Throws InputError when there is
// neither.
[[nodiscard]] PreprocessorConfig read_preprocessor_config(const std::filesystem::path& folder);

}  // namespace qvl
