// How a checkpoint wants its pictures prepared: preprocessor_config.json.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace qvl {

// The initial values are what a field that the file leaves out means (the processor published with
// Qwen2.5-VL; mean and deviation are CLIP's).
struct PreprocessorConfig {
  std::int64_t min_pixels = 3136;
  std::int64_t max_pixels = 12845056;
  std::int64_t patch_size = 14;          // pixels
  std::int64_t temporal_patch_size = 2;  // frames
  std::int64_t merge_size = 2;           // patches along one side of a merge block
  std::array<double, 3> image_mean = {0.48145466, 0.4578275, 0.40821073};  // of RGB scaled to 0..1
  std::array<double, 3> image_std = {0.26862954, 0.26130258, 0.27577711};

  friend bool operator==(const PreprocessorConfig&, const PreprocessorConfig&) = default;
};

// min_pixels and max_pixels go before `size.shortest_edge` and `size.longest_edge`, which are the same
// numbers in newer files. Files that switch off a step or ask for another one (another resampling than
// bicubic, another scale than 1/255) are refused. Throws one InputError with all that is wrong; `source`
// names the file in it.
[[nodiscard]] PreprocessorConfig parse_preprocessor_config(std::string_view json, std::string_view source);

// From a checkpoint or model folder: preprocessor_config.json, or the `image_processor` of
// processor_config.json, which is where transformers 5 writes it. Throws InputError when there is neither.
[[nodiscard]] PreprocessorConfig read_preprocessor_config(const std::filesystem::path& folder);

}  // namespace qvl
