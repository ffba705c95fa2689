#include "models/qwen25vl/weight_distribution.h"

#include <cmath>
#include <span>
#include <string_view>

namespace qvl::qwen25vl {
namespace {

WeightDistribution norm_distribution(std::string_view name) {
  const float mean = name == "model.norm.weight" ? 3.0F : 1.0F;
  return {mean, 0.1F * mean};
}

}  // namespace

WeightDistribution weight_distribution(std::string_view name, const Shape& shape, const ModelConfig& config) {
  const bool vision = name.starts_with("visual.");
  if (name.ends_with(".bias")) return {0.0F, vision ? 0.02F : 0.1F};
  if (shape.size() < 2) return norm_distribution(name);
  double variance = 1.0 / static_cast<double>(*element_count(std::span(shape).subspan(1)));
  if (name.ends_with(".attn.proj.weight") || name.ends_with(".o_proj.weight") ||
      name.ends_with(".down_proj.weight")) {
    variance /= 2.0 * static_cast<double>(vision ? config.vision.depth : config.text.num_hidden_layers);
  }
  if (name.ends_with(".q_proj.weight") || name.ends_with(".k_proj.weight")) variance *= 2.0;
  return {0.0F, static_cast<float>(std::sqrt(variance))};
}

}  // namespace qvl::qwen25vl
