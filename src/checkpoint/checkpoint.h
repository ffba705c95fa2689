// The tensors of a checkpoint folder as on the Hugging Face hub, mapped.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"

namespace qvl {

class JsonProblems;

// The hub's name (`model.layers.0…`, `visual.blocks.0…`) for the names that transformers 5 uses in memory
// (`model.language_model.layers.0…`, `model.visual.blocks.0…`). Other names come back as they are.
[[nodiscard]] std::string canonical_tensor_name(std::string_view name);

class Checkpoint {
 public:
  // A tensor that lies in a shard but that the index does not place there.
  struct UnindexedTensor {
    std::string name;   // as it stands in the shard
    std::string shard;  // file name
  };

  // Reads the headers of model.safetensors, or of all shards that model.safetensors.index.json names; no
  // tensor's bytes are touched. Throws InputError when something is missing or broken: no safetensors, a shard
  // that is not there or not a plain file name, a tensor that is not in the shard that the index names, two
  // tensors with one canonical name.
  [[nodiscard]] static Checkpoint open(const std::filesystem::path& folder);

  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }

  // Canonical names, sorted.
  [[nodiscard]] std::vector<std::string> names() const;
  // By canonical name; null when there is no such tensor. The entry's own name is the one in the file.
  [[nodiscard]] const TensorEntry* find(std::string_view name) const;
  // By canonical name. Views live as long as this object (moved or not). Throws InputError when there is no
  // such tensor.
  [[nodiscard]] TensorView view(std::string_view name) const;
  // Copies a part of a tensor's bytes without mapping them, for weights that are read through once. By
  // canonical name. Throws InputError when there is no such tensor, UsageError when the part does not lie in
  // it.
  void read(std::string_view name, std::uint64_t offset_bytes, std::span<std::byte> destination) const;

  // Gives the tensor `name` the canonical name `other`, which no tensor may have.
  void rename(std::string_view name, std::string_view other);

  // Left over: nothing refers to them.
  [[nodiscard]] const std::vector<UnindexedTensor>& unindexed() const noexcept { return unindexed_; }
  // The bytes of all tensors in names().
  [[nodiscard]] std::uint64_t size_bytes() const noexcept;

 private:
  struct Location {
    std::size_t shard;
    std::size_t entry;
  };

  Checkpoint() = default;
  void open_single(const std::filesystem::path& file);
  void open_shards(const std::filesystem::path& index);
  // Enters a tensor under its canonical name.
  void place(const std::string& name, const Location& location, JsonProblems& problems);
  [[nodiscard]] const Location& location(std::string_view name) const;
  [[nodiscard]] const TensorEntry& at(const Location& location) const;

  std::filesystem::path folder_;
  std::vector<SafetensorsFile> shards_;
  std::map<std::string, Location, std::less<>> tensors_;  // by canonical name
  std::vector<UnindexedTensor> unindexed_;
};

}  // namespace qvl
