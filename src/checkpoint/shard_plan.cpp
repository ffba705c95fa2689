#include "checkpoint/shard_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/json_text.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::size_t kMostFiles = 99999;  // what the five digits of a shard's name can count

// Bytes in the file at most, with the tensor's entry in the header.
std::uint64_t cost_bytes(const TensorSpec& tensor) {
  constexpr std::uint64_t kEntry = 80;   // punctuation, field names, dtype
  constexpr std::uint64_t kNumber = 21;  // digits and a comma
  return tensor.size_bytes() + tensor.name.size() + kEntry + kNumber * (tensor.shape.size() + 2);
}

using Groups = std::vector<std::span<const TensorSpec>>;

Groups by_size(std::span<const TensorSpec> tensors, std::uint64_t most_bytes) {
  Groups groups;
  std::size_t first = 0;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::uint64_t cost = cost_bytes(tensors[i]);
    if (i > first && bytes + cost > most_bytes) {
      groups.push_back(tensors.subspan(first, i - first));
      first = i;
      bytes = 0;
    }
    bytes += cost;
  }
  groups.push_back(tensors.subspan(first));
  return groups;
}

Groups by_count(std::span<const TensorSpec> tensors, std::size_t count) {
  std::uint64_t left_bytes = 0;
  for (const TensorSpec& tensor : tensors) left_bytes += tensor.size_bytes();
  Groups groups;
  std::size_t first = 0;
  for (std::size_t left = count; left > 0; --left) {
    // A tensor goes into the file that its middle falls into, but for those that the files behind need.
    std::size_t end = first + 1;
    std::uint64_t bytes = tensors[first].size_bytes();
    while (end + left - 1 < tensors.size() &&
           (left == 1 || bytes + tensors[end].size_bytes() / 2 <= left_bytes / left)) {
      bytes += tensors[end++].size_bytes();
    }
    groups.push_back(tensors.subspan(first, end - first));
    first = end;
    left_bytes -= bytes;
  }
  return groups;
}

std::string index_text(const ShardPlan& plan) {
  Json map = Json::object();
  for (const ShardFile& file : plan.files) {
    for (const TensorEntry& entry : file.layout.entries) map[entry.name] = file.name;
  }
  const Json index{{"metadata", {{"total_size", plan.tensor_bytes}}}, {"weight_map", std::move(map)}};
  return index.dump(2) + "\n";
}

}  // namespace

ShardPlan plan_shards(std::span<const TensorSpec> tensors, const Sharding& sharding) {
  const std::size_t most = std::min(tensors.size(), kMostFiles);
  if (sharding.files < 0 || static_cast<std::size_t>(sharding.files) > std::max<std::size_t>(most, 1)) {
    throw UsageError(fmt::format("{} shards; 1 to {} can be made of {} tensors", sharding.files,
                                 std::max<std::size_t>(most, 1), tensors.size()));
  }
  const Groups groups = sharding.files == 0 || tensors.empty()
                            ? by_size(tensors, sharding.most_file_bytes)
                            : by_count(tensors, static_cast<std::size_t>(sharding.files));
  ShardPlan plan;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    std::string name = groups.size() == 1
                           ? std::string(kSingleFile)
                           : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, groups.size());
    // transformers asks for this entry.
    plan.files.push_back({std::move(name), lay_out_safetensors(groups[i], {{"format", "pt"}})});
    plan.file_bytes += plan.files.back().layout.size_bytes;
    for (const TensorSpec& tensor : groups[i]) plan.tensor_bytes += tensor.size_bytes();
  }
  if (groups.size() > 1) plan.index_json = index_text(plan);
  return plan;
}

bool is_weight_file_name(std::string_view name) {
  constexpr std::string_view kPattern = "model-#####-of-#####.safetensors";
  if (name == kSingleFile || name == "model.safetensors.index.json") return true;
  return std::equal(name.begin(), name.end(), kPattern.begin(), kPattern.end(), [](char c, char pattern) {
    return pattern == '#' ? c >= '0' && c <= '9' : c == pattern;
  });
}

}  // namespace qvl
