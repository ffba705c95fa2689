// Which values inside the graphs are the stages of the goldens (docs/goldens.md).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "image/pixel_size.h"
#include "onnx/read/model_probe.h"

namespace qvl {

// "vision.blocks.7" and the value that is that block's output.
struct StageValue {
  std::string stage;
  std::string value;
};

// The value i64 [batch, seq] that holds positions, and which rows of position_ids (0 time, 1 height, 2 width)
// it is.
struct PositionValue {
  std::string value;
  std::vector<std::size_t> rows;
};
struct PositionValues {
  std::vector<PositionValue> found;
  std::vector<std::size_t> missing;  // rows that no value was found for, though the angles need them
};

// Stages in the order of computation, as qvl calls them; a graph that another program made need not have
// them. A family without any is verified by the artifacts' outputs alone.
struct GoldenStages {
  std::vector<StageValue> vision;
  std::vector<StageValue> text;
  std::vector<StageValue> text_with_image;
  std::int64_t vision_width = 0;  // numbers a row of the vision stages
  // Rows of the vision stages for a picture of this size.
  std::function<std::int64_t(PixelSize)> vision_rows;
  // Where rows of the reference's vision stages lie in ours.
  std::function<std::vector<std::int64_t>(std::span<const std::int64_t> rows, PixelSize)> our_rows;
  std::function<PositionValues(const ModelProbe& graph)> positions;
};

}  // namespace qvl
