#include "models/qwen25vl/rope_index.h"

#include <fmt/format.h>

#include <algorithm>

#include "qvl/error.h"

namespace qvl::qwen25vl {

RopeIndex rope_index(std::span<const std::int64_t> input_ids, std::span<const std::int64_t> attention_mask,
                     std::span<const PatchGrid> pictures, std::int64_t image_token_id, std::int64_t merge) {
  RopeIndex result;
  result.time.resize(input_ids.size());
  result.height.resize(input_ids.size());
  result.width.resize(input_ids.size());
  std::int64_t tokens = 0;            // padding not counted
  std::int64_t next = 0;              // position of the next text token or picture
  std::size_t picture = 0;            // index of the picture being read
  std::int64_t token_of_picture = 0;  // its tokens read so far
  for (std::size_t i = 0; i < input_ids.size(); ++i) {
    if (attention_mask[i] == 0) continue;
    ++tokens;
    if (input_ids[i] != image_token_id) {
      result.time[i] = result.height[i] = result.width[i] = next++;
      continue;
    }
    if (picture == pictures.size()) {
      throw InputError(fmt::format("more image tokens than {} pictures give", pictures.size()));
    }
    const std::int64_t columns = pictures[picture].width_patches / merge;
    const std::int64_t rows = pictures[picture].height_patches / merge;
    result.time[i] = next;
    result.height[i] = next + token_of_picture / columns;
    result.width[i] = next + token_of_picture % columns;
    if (++token_of_picture == rows * columns) {
      next += std::max(rows, columns);
      ++picture;
      token_of_picture = 0;
    }
  }
  if (picture != pictures.size() || token_of_picture != 0) {
    throw InputError(fmt::format("fewer image tokens than {} pictures give", pictures.size()));
  }
  result.delta = next - tokens;
  return result;
}

}  // namespace qvl::qwen25vl
