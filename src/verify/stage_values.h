// Which values inside the graphs are the stages of the goldens.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/model_config.h"
#include "image/pixel_size.h"
#include "onnx/read/model_probe.h"

namespace qvl {

// "vision.blocks.7" and the value that is that block's output.
struct StageValue {
  std::string stage;
  std::string value;
};

// In the order of computation, as qvl calls them; a graph that another program made need not have them.
[[nodiscard]] std::vector<StageValue> vision_stages(const VisionConfig& vision);
// `with_pictures`: of the artifact that takes image features.
[[nodiscard]] std::vector<StageValue> text_stages(const TextConfig& text, bool with_pictures);

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
// Found from the constants of inverse frequencies that the angles are made of. A text artifact has one value
// for all three rows; a row whose sections have no width has none, and is not missed.
[[nodiscard]] PositionValues position_values(const ModelProbe& graph, const TextConfig& text);

// Every stage in the order of computation, as it stands in a certificate; "vision" and "text" stand for what
// is skipped as a whole.
[[nodiscard]] std::vector<std::string> stage_order(const ModelConfig& config);

// Where rows of the reference's window order lie in ours. They are the same where all windows are whole;
// ragged ones stand where they are in the picture there, and behind the whole ones here
// (models/qwen25vl/window_layout.h). Source: get_window_index of transformers' modeling_qwen2_5_vl.py.
[[nodiscard]] std::vector<std::int64_t> our_window_rows(std::span<const std::int64_t> reference_rows,
                                                        PixelSize size, const VisionConfig& vision);

}  // namespace qvl
