#include "runtime/block_attention.h"

#include <onnxruntime_c_api.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "runtime/library.h"

namespace qvl {
namespace {

constexpr const char* kDoing = "running qvl.Attention";
constexpr std::size_t kScoreFloats = std::size_t{1} << 17U;  // 512 KiB
// A whole number of these keys is taken: more than the vectors that a row is cut into on any processor.
constexpr std::size_t kKeyStep = 128;
// What is masked with less weighs 0 beside any key that is open.
constexpr float kClosed = -1e30F;
constexpr int kOpset = 13;

OrtHandle<OrtOp> make_op(const OrtKernelInfo& info, const char* name,
                         const std::vector<OrtOpAttr*>& attributes, int inputs) {
  std::array<const char*, 1> constraint{"T"};
  const std::array<ONNXTensorElementDataType, 1> type{ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT};
  OrtOp* op = nullptr;
  check(ort_api().CreateOp(&info, name, "", kOpset, constraint.data(), type.data(), 1, attributes.data(),
                           static_cast<int>(attributes.size()), inputs, 1, &op),
        kDoing);
  return OrtHandle<OrtOp>(op);
}

OrtHandle<OrtOp> make_softmax(const OrtKernelInfo& info) {
  const std::int64_t last = -1;
  OrtOpAttr* axis = nullptr;
  check(ort_api().CreateOpAttr("axis", &last, 1, ORT_OP_ATTR_INT, &axis), kDoing);
  const OrtHandle<OrtOpAttr> owner(axis);
  return make_op(info, "Softmax", {axis}, 1);
}

}  // namespace

// One call of the operator.
class BlockAttention::Run {
 public:
  Run(const BlockAttention& ops, const OrtKernelContext& context, const AttentionInputs& inputs,
      const AttentionLayout& layout)
      : ops_(ops), context_(context), in_(inputs), layout_(layout) {
    // Not one row alone: products of a single row are added up in another order.
    block_rows_ = std::clamp<std::size_t>(kScoreFloats / std::max<std::size_t>(layout.keys, 1) / 12 * 12, 12,
                                          std::max<std::size_t>(layout.rows, 12));
    // Heads that are small go together.
    const std::size_t head = std::max<std::size_t>(layout.rows * layout.keys, 1);
    most_heads_ = dense() ? std::max<std::size_t>(kScoreFloats / head, 1) : 1;
  }

  void run(std::span<float> out) {
    std::size_t heads = 1;
    for (const std::int64_t size : layout_.lead) heads *= static_cast<std::size_t>(size);
    for (std::size_t head = 0; head < heads; head += most_heads_)
      take(head, std::min(most_heads_, heads - head), out.data() + head * layout_.rows * layout_.width);
  }

 private:
  // No leading dimension of queries, keys and values broadcasts, and there is no mask.
  [[nodiscard]] bool dense() const {
    if (layout_.masked) return false;
    std::size_t count = 1;
    for (std::size_t i = layout_.lead.size(); i-- > 0;) {
      if (layout_.lead[i] == 1) continue;
      if (layout_.q[i] != count * layout_.rows * layout_.depth ||
          layout_.k[i] != count * layout_.depth * layout_.keys ||
          layout_.v[i] != count * layout_.keys * layout_.width)
        return false;
      count *= static_cast<std::size_t>(layout_.lead[i]);
    }
    return true;
  }

  [[nodiscard]] std::size_t offset(std::size_t head, const std::vector<std::size_t>& strides) const {
    std::size_t sum = 0;
    for (std::size_t i = layout_.lead.size(); i-- > 0;) {
      const auto size = static_cast<std::size_t>(layout_.lead[i]);
      sum += head % size * strides[i];
      head /= size;
    }
    return sum;
  }

  [[nodiscard]] OrtHandle<OrtValue> wrap(const float* data, std::size_t heads, std::size_t rows,
                                         std::size_t columns) const {
    const std::array<std::int64_t, 3> shape{static_cast<std::int64_t>(heads), static_cast<std::int64_t>(rows),
                                            static_cast<std::int64_t>(columns)};
    OrtValue* value = nullptr;
    check(ort_api().CreateTensorWithDataAsOrtValue(ops_.memory_.get(), const_cast<float*>(data),
                                                   heads * rows * columns * sizeof(float), shape.data(),
                                                   shape.size(), ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value),
          kDoing);
    return OrtHandle<OrtValue>(value);
  }

  void invoke(const OrtOp& op, const std::vector<const OrtValue*>& inputs, OrtValue* output) const {
    check(ort_api().InvokeOp(&context_, &op, inputs.data(), static_cast<int>(inputs.size()), &output, 1),
          kDoing);
  }

  void set_mask(const float* mask) {
    if (mask == mask_ && !open_.empty()) return;
    mask_ = mask;
    open_.assign(layout_.rows, 0);
    for (std::size_t row = 0; row < layout_.rows; ++row) {
      const float* const at = mask + row * layout_.mask_row;
      std::size_t open = layout_.keys;
      while (open > 0 && !(at[open - 1] > kClosed)) --open;
      open_[row] = open;
    }
  }

  // How many keys, from the first on, matter to these rows.
  [[nodiscard]] std::size_t keys_of(std::size_t first_row, std::size_t rows) const {
    if (!layout_.masked) return layout_.keys;
    const auto own = std::span(open_).subspan(first_row, rows);
    // A row without any open key weighs all of them alike.
    if (std::ranges::find(own, 0U) != own.end()) return layout_.keys;
    return std::min(layout_.keys, (*std::ranges::max_element(own) + kKeyStep - 1) / kKeyStep * kKeyStep);
  }

  // The first keys of all rows of k, which is [depth, keys].
  [[nodiscard]] const float* narrowed(const float* k, std::size_t keys) {
    if (keys == layout_.keys) return k;
    if (k == narrowed_from_ && keys == narrowed_keys_) return narrowed_.data();
    narrowed_.resize(layout_.depth * layout_.keys);
    for (std::size_t i = 0; i < layout_.depth; ++i)
      std::copy_n(k + i * layout_.keys, keys, narrowed_.begin() + static_cast<std::ptrdiff_t>(i * keys));
    narrowed_from_ = k;
    narrowed_keys_ = keys;
    return narrowed_.data();
  }

  void add_mask(std::size_t first_row, std::size_t rows, std::size_t keys) {
    for (std::size_t row = 0; row < rows; ++row) {
      const float* const mask = mask_ + (first_row + row) * layout_.mask_row;
      float* const scores = scores_.data() + row * keys;
      for (std::size_t key = 0; key < keys; ++key) scores[key] += mask[key];
    }
  }

  void take(std::size_t head, std::size_t heads, float* out) {
    const float* const q = in_.q.values + offset(head, layout_.q);
    const float* const k = in_.k_transposed.values + offset(head, layout_.k);
    const float* const v = in_.v.values + offset(head, layout_.v);
    if (layout_.masked) set_mask(in_.mask->values + offset(head, layout_.mask));
    for (std::size_t row = 0; row < layout_.rows;) {
      std::size_t rows = heads > 1 ? layout_.rows : std::min(block_rows_, layout_.rows - row);
      if (layout_.rows - row - rows == 1) ++rows;
      take_rows(q + row * layout_.depth, k, v, out + row * layout_.width, row, rows, heads);
      row += rows;
    }
  }

  void take_rows(const float* q, const float* k, const float* v, float* out, std::size_t row,
                 std::size_t rows, std::size_t heads) {
    const std::size_t keys = keys_of(row, rows);
    scores_.resize(std::max(scores_.size(), heads * rows * keys));
    const auto queries = wrap(q, heads, rows, layout_.depth);
    const auto keyed = wrap(narrowed(k, keys), heads, layout_.depth, keys);
    const auto scores = wrap(scores_.data(), heads, rows, keys);
    invoke(*ops_.product_, {queries.get(), keyed.get()}, scores.get());
    if (layout_.masked) add_mask(row, rows, keys);
    invoke(*ops_.softmax_, {scores.get()}, scores.get());
    const auto values = wrap(v, heads, keys, layout_.width);
    const auto mixed = wrap(out, heads, rows, layout_.width);
    invoke(*ops_.product_, {scores.get(), values.get()}, mixed.get());
  }

  const BlockAttention& ops_;
  const OrtKernelContext& context_;
  const AttentionInputs& in_;
  const AttentionLayout& layout_;
  std::size_t block_rows_ = 1;
  std::size_t most_heads_ = 1;
  std::vector<float> scores_;
  const float* mask_ = nullptr;
  std::vector<std::size_t> open_;  // by row: behind its last open key
  std::vector<float> narrowed_;
  const float* narrowed_from_ = nullptr;
  std::size_t narrowed_keys_ = 0;
};

BlockAttention::BlockAttention(const OrtKernelInfo& info)
    : product_(make_op(info, "MatMul", {}, 2)), softmax_(make_softmax(info)) {
  OrtMemoryInfo* memory = nullptr;
  check(ort_api().CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory), kDoing);
  memory_.reset(memory);
}

bool BlockAttention::run(const OrtKernelContext& context, const AttentionInputs& inputs,
                         std::span<float> out) const {
  const AttentionLayout layout(inputs);
  const bool plain = (layout.q_row != 0 || layout.rows == 1) && (layout.k_key != 0 || layout.keys == 1) &&
                     (layout.mask_key != 0 || layout.keys == 1 || !layout.masked);
  if (!plain || layout.keys == 0 || layout.depth == 0 || out.empty()) return false;
  Run(*this, context, inputs, layout).run(out);
  return true;
}

}  // namespace qvl
