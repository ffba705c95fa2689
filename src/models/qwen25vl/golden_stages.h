// Which values inside Qwen2.5-VL's graphs are the stages of the goldens.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "image/pixel_size.h"
#include "models/golden_stages.h"
#include "models/qwen25vl/model_config.h"
#include "onnx/read/model_probe.h"

namespace qvl::qwen25vl {

// In the order of computation, as qvl calls them; a graph that another program made need not have them.
[[nodiscard]] std::vector<StageValue> vision_stages(const VisionConfig& vision);
// `with_pictures`: of the artifact that takes image features.
[[nodiscard]] std::vector<StageValue> text_stages(const TextConfig& text, bool with_pictures);

// Found from the constants of inverse frequencies that the angles are made of. A text artifact has one value
// for all three rows; a row whose sections have no width has none, and is not missed.
[[nodiscard]] PositionValues position_values(const ModelProbe& graph, const TextConfig& text);

// Where rows of the reference's window order lie in ours. They are the same where all windows are whole;
// ragged ones stand where they are in the picture there, and behind the whole ones here
// (models/qwen25vl/window_layout.h). Source: get_window_index of transformers' modeling_qwen2_5_vl.py.
[[nodiscard]] std::vector<std::int64_t> our_window_rows(std::span<const std::int64_t> reference_rows,
                                                        PixelSize size, const VisionConfig& vision);

}  // namespace qvl::qwen25vl
