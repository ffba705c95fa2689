// What a model wrote, looked through for boxes; and the data's boxes, which must be read back from any text.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "evaluation/labelled_box.h"
#include "qvl/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto found = qvl::boxes_in_answer(text);
  for (const qvl::LabelledBox& box : found) {
    if (!std::isfinite(box.x1 + box.y1 + box.x2 + box.y2)) std::abort();
  }
  try {
    const auto boxes = qvl::parse_boxes(text, "fuzz");
    if (boxes.empty() || !qvl::all_found(boxes, boxes)) std::abort();
    (void)qvl::all_found(boxes, found);
  } catch (const qvl::InputError&) {
  }
  return 0;
}
