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

std::uint64_t stored_bytes(const StoredWeight& weight, const std::optional<Format>& format) {
  if (!format) return weight.bytes;
  const WeightLayout& layout = weight.layout;
  const auto channels = static_cast<std::uint64_t>(layout.matrices * layout.rows);
  const auto depth = static_cast<std::uint64_t>(layout.depth);
  if (format->block == 0) return channels * (depth + 4);
  const std::uint64_t scale = is_matrix(weight) && weight.stored == DType::f16 ? 2 : 4;
  if (format->bits == 8) {
    const auto groups = static_cast<std::uint64_t>(format->blocks(layout.depth));
    return channels * (depth + groups * scale);
  }
  const auto block = static_cast<std::uint64_t>(stored_block(*format, layout.depth));
  const std::uint64_t blocks = channels * ((depth + block - 1) / block);
  return blocks * (block * static_cast<std::uint64_t>(format->bits) / 8 + scale);
}

}  // namespace qvl
