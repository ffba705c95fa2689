#include "planner/stored_size.h"

#include "quant/packed_blocks.h"

namespace qvl {
namespace {

// One matrix of a MatMul or Gemm, not a stack and not a vector (which is the only MatMul weight that lies
// so).
bool is_matrix(const StoredWeight& weight) {
  const bool vector = weight.op == "MatMul" && weight.layout.axis == DepthAxis::contiguous;
  return weight.op != "Conv" && weight.layout.matrices == 1 && !vector;
}

}  // namespace

bool is_block_product(const StoredWeight& weight, const Format& format) {
  return format.activations == ActivationRounding::kept && is_matrix(weight);
}

std::uint64_t stored_bytes(const StoredWeight& weight, const std::optional<Format>& format) {
  if (!format) return weight.bytes;
  const WeightLayout& layout = weight.layout;
  const auto channels = static_cast<std::uint64_t>(layout.matrices * layout.rows);
  const auto depth = static_cast<std::uint64_t>(layout.depth);
  const bool rounds = format->activations != ActivationRounding::kept;
  if (rounds && (weight.op == "Conv" || is_matrix(weight))) return channels * (depth + 4);
  Format stored = *format;
  stored.activations = ActivationRounding::kept;
  const auto block = static_cast<std::uint64_t>(stored_block(stored, layout.depth));
  const std::uint64_t blocks = channels * ((depth + block - 1) / block);
  const bool half = is_block_product(weight, *format) && weight.stored == DType::f16;
  return blocks * (block * static_cast<std::uint64_t>(format->bits) / 8 + (half ? 2U : 4U));
}

}  // namespace qvl
