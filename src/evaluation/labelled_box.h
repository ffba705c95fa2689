// Boxes around what a picture shows: those of the data, and those that a model wrote.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image/pixel_size.h"

namespace qvl {

// Corners in pixels: left, top, right, bottom.
struct LabelledBox {
  std::string label;
  double x1 = 0;
  double y1 = 0;
  double x2 = 0;
  double y2 = 0;
};

// Reads the data's boxes, a JSON array of {"bbox_2d": [x1, y1, x2, y2], "label": "…"}. Throws InputError that
// names `source` for anything else, for no box at all, and for one whose corners enclose nothing.
[[nodiscard]] std::vector<LabelledBox> parse_boxes(std::string_view json, std::string_view source);

// The boxes in whatever a model wrote: every JSON object in the text with a label and four numbers
// bbox_2d of at most 1e9, with prose, code fences or broken JSON around it, in the order of their ends.
// Objects of more than 4096 bytes are passed over. Never throws for any text.
[[nodiscard]] std::vector<LabelledBox> boxes_in_answer(std::string_view text);

// From pixels of a picture of one size to those of the same picture stretched to another.
[[nodiscard]] LabelledBox stretched(const LabelledBox& box, PixelSize from, PixelSize to);

// Area of the intersection / area of the union; 0 where a box has no area.
[[nodiscard]] double intersection_over_union(const LabelledBox& a, const LabelledBox& b);

// Whether each of `wanted` has a box of `found` for itself with the same label and an intersection over union
// of at least 0.5. What else was found does not matter.
[[nodiscard]] bool all_found(std::span<const LabelledBox> wanted, std::span<const LabelledBox> found);

}  // namespace qvl
