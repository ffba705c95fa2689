#include "kernels/attention.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/attention_head.h"
#include "kernels/attention_kernels.h"
#include "kernels/attention_layout.h"
#include "qvl/error.h"

namespace qvl {
namespace {

// Of the head with the number `head` in an operand.
std::size_t offset_of(std::size_t head, const Shape& lead, const std::vector<std::size_t>& strides) {
  std::size_t offset = 0;
  for (std::size_t i = lead.size(); i-- > 0;) {
    const auto size = static_cast<std::size_t>(lead[i]);
    offset += head % size * strides[i];
    head /= size;
  }
  return offset;
}

}  // namespace

Shape attention_shape(const AttentionInputs& inputs) { return AttentionLayout(inputs).shape(); }

void attention(const AttentionInputs& inputs, std::span<float> out, Isa isa) {
  const AttentionLayout layout(inputs);
  const Shape shape = layout.shape();
  if (static_cast<std::uint64_t>(element_count(shape).value()) != out.size()) {
    throw UsageError(fmt::format("attention: {} floats for a result of {}", out.size(), to_string(shape)));
  }
  if (out.empty()) return;
  if (layout.keys == 0) {
    std::ranges::fill(out, 0.0F);
    return;
  }
  AttentionHead head(layout, inputs, attention_kernels(isa));
  const float* k = nullptr;
  const float* v = nullptr;
  const float* mask = nullptr;
  const std::size_t floats = layout.rows * layout.width;
  for (std::size_t i = 0; i * floats < out.size(); ++i) {
    const float* const k_here = inputs.k_transposed.values + offset_of(i, layout.lead, layout.k);
    const float* const v_here = inputs.v.values + offset_of(i, layout.lead, layout.v);
    if (i == 0 || k_here != k) head.set_keys(k = k_here);
    if (v_here != v) head.set_values(v = v_here);
    if (inputs.mask) {
      const float* const mask_here = inputs.mask->values + offset_of(i, layout.lead, layout.mask);
      if (mask_here != mask) head.set_mask(mask = mask_here);
    }
    head.run(inputs.q.values + offset_of(i, layout.lead, layout.q), out.data() + i * floats);
  }
}

}  // namespace qvl
