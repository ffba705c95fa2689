#include "checkpoint/safetensors_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string_view>
#include <vector>

#include "checkpoint/message_quote.h"
#include "core/json_text.h"
#include "core/output_file.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::size_t kAlignment = 8;

void check(const NamedTensor& tensor) {
  if (tensor.name == kMetadataKey) throw UsageError("a tensor cannot be named \"__metadata__\"");
  const auto count = element_count(tensor.tensor.shape);
  std::size_t bytes = 0;
  if (!count ||
      __builtin_mul_overflow(static_cast<std::size_t>(*count), size_bytes(tensor.tensor.dtype), &bytes) ||
      bytes != tensor.tensor.bytes.size()) {
    throw UsageError(fmt::format("tensor {} has {} bytes, which is not what {} of {} take",
                                 quote_for_message(tensor.name), tensor.tensor.bytes.size(),
                                 to_string(tensor.tensor.shape), name(tensor.tensor.dtype)));
  }
}

std::vector<const NamedTensor*> in_file_order(std::span<const NamedTensor> tensors) {
  std::vector<const NamedTensor*> order;
  std::set<std::string_view> names;
  for (const NamedTensor& tensor : tensors) {
    check(tensor);
    if (!names.insert(tensor.name).second) {
      throw UsageError(fmt::format("two tensors are named {}", quote_for_message(tensor.name)));
    }
    order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    const std::size_t a_size = size_bytes(a->tensor.dtype);
    const std::size_t b_size = size_bytes(b->tensor.dtype);
    return a_size != b_size ? a_size > b_size : a->name < b->name;
  });
  return order;
}

std::string header_text(const std::vector<const NamedTensor*>& order,
                        const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadataKey)] = metadata;
  std::uint64_t offset = 0;
  std::string text;
  try {
    text = header.dump();
    text.pop_back();  // the closing brace
    for (const NamedTensor* tensor : order) {
      const std::uint64_t end = offset + tensor->tensor.bytes.size();
      const nlohmann::ordered_json entry = {{"dtype", std::string(name(tensor->tensor.dtype))},
                                            {"shape", tensor->tensor.shape},
                                            {"data_offsets", {offset, end}}};
      // Not through one big object: looking for duplicates in an ordered one takes quadratic time.
      text += fmt::format("{}{}:{}", text.size() > 1 ? "," : "", Json(tensor->name).dump(), entry.dump());
      offset = end;
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

void write_safetensors(const std::filesystem::path& place, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::vector<const NamedTensor*> order = in_file_order(tensors);
  const std::string header = header_text(order, metadata);
  std::string length;
  for (unsigned shift = 0; shift < 64; shift += 8)
    length += static_cast<char>((header.size() >> shift) & 0xffU);
  OutputFile file(place);
  file.append(length);
  file.append(header);
  for (const NamedTensor* tensor : order) file.append(tensor->tensor.bytes);
  file.commit();
}

}  // namespace qvl
