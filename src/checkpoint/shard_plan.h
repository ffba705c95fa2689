// How the tensors of a checkpoint are shared out among files, as on the Hugging Face hub.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/safetensors_layout.h"

namespace qvl {

struct ShardFile {
  std::string name;  // model-00001-of-00002.safetensors
  SafetensorsLayout layout;
};

struct ShardPlan {
  std::vector<ShardFile> files;    // model.safetensors alone when there is one
  std::string index_json;          // the text of model.safetensors.index.json; empty when there is one file
  std::uint64_t tensor_bytes = 0;  // of all tensors
  std::uint64_t file_bytes = 0;    // of all files, without the index
};

struct Sharding {
  // Whole tensors in the order given go into a file until it would be larger than this. A tensor that is
  // larger itself has a file of its own. The limit of the hub's tools is 5 GB.
  std::uint64_t most_file_bytes = 5'000'000'000;
  // Not 0: this many files of about equal size instead, each with at least one tensor.
  std::int64_t files = 0;
};

// Throws UsageError for more files than tensors, for more than 99999, and for what lay_out_safetensors
// refuses.
[[nodiscard]] ShardPlan plan_shards(std::span<const TensorSpec> tensors, const Sharding& sharding = {});

// Whether a file of this name is part of a checkpoint's weights: model.safetensors, its index, or a shard as
// named here.
[[nodiscard]] bool is_weight_file_name(std::string_view name);

}  // namespace qvl
