#include "checkpoint/safetensors_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "core/json_text.h"
#include "core/message_quote.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::size_t kAlignment = 8;

// With offsets counted from the beginning of the data.
std::vector<TensorEntry> in_file_order(std::span<const TensorSpec> tensors) {
  std::vector<TensorEntry> entries;
  entries.reserve(tensors.size());
  for (const TensorSpec& tensor : tensors) {
    if (tensor.name == kMetadataKey) throw UsageError("a tensor cannot be named \"__metadata__\"");
    entries.push_back({tensor.name, tensor.dtype, tensor.shape, 0, tensor.size_bytes()});
  }
  std::sort(entries.begin(), entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
    const std::size_t a_size = size_bytes(a.dtype);
    const std::size_t b_size = size_bytes(b.dtype);
    return a_size != b_size ? a_size > b_size : a.name < b.name;
  });
  std::vector<std::string_view> names;
  std::uint64_t offset = 0;
  for (TensorEntry& entry : entries) {
    names.push_back(entry.name);
    entry.begin_bytes = offset;
    if (__builtin_add_overflow(offset, entry.end_bytes, &offset)) {
      throw UsageError("the tensors take more than 2^64 bytes");
    }
    entry.end_bytes = offset;
  }
  std::sort(names.begin(), names.end());
  const auto twin = std::adjacent_find(names.begin(), names.end());
  if (twin != names.end()) {
    throw UsageError(fmt::format("two tensors are named {}", quote_for_message(*twin)));
  }
  return entries;
}

std::string header_text(const std::vector<TensorEntry>& entries,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadataKey)] = metadata;
  std::string text;
  try {
    text = header.dump();
    text.pop_back();  // the closing brace
    for (const TensorEntry& tensor : entries) {
      const nlohmann::ordered_json entry = {{"dtype", std::string(name(tensor.dtype))},
                                            {"shape", tensor.shape},
                                            {"data_offsets", {tensor.begin_bytes, tensor.end_bytes}}};
      // Not through one big object: looking for duplicates in an ordered one takes quadratic time.
      text += fmt::format("{}{}:{}", text.size() > 1 ? "," : "", Json(tensor.name).dump(), entry.dump());
    }
  } catch (const Json::exception& error) {
    throw UsageError(fmt::format("names and metadata of tensors must be UTF-8: {}", error.what()));
  }
  text += '}';
  // 8 bytes of length stand before it, so that the tensors begin aligned.
  text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
  return text;
}

}  // namespace

std::uint64_t TensorSpec::size_bytes() const {
  const auto count = element_count(shape);
  std::uint64_t bytes = 0;
  if (!count || __builtin_mul_overflow(static_cast<std::uint64_t>(*count), qvl::size_bytes(dtype), &bytes)) {
    throw UsageError(
        fmt::format("tensor {} has the impossible shape {}", quote_for_message(name), to_string(shape)));
  }
  return bytes;
}

SafetensorsLayout lay_out_safetensors(std::span<const TensorSpec> tensors,
                                      const std::map<std::string, std::string>& metadata) {
  SafetensorsLayout layout;
  layout.entries = in_file_order(tensors);
  const std::string text = header_text(layout.entries, metadata);
  for (unsigned shift = 0; shift < 64; shift += 8) {
    layout.header += static_cast<char>((text.size() >> shift) & 0xffU);
  }
  layout.header += text;
  for (TensorEntry& entry : layout.entries) {
    entry.begin_bytes += layout.header.size();
    entry.end_bytes += layout.header.size();
  }
  layout.size_bytes = layout.entries.empty() ? layout.header.size() : layout.entries.back().end_bytes;
  return layout;
}

}  // namespace qvl
