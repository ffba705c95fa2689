// A model of Qwen2.5-VL.
#pragma once

#include <memory>

#include "models/model.h"
#include "models/qwen25vl/model_config.h"

namespace qvl::qwen25vl {

[[nodiscard]] std::shared_ptr<const Model> make_model(const ModelConfig& config);

}  // namespace qvl::qwen25vl
