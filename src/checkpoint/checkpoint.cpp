#include "checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "core/json_fields.h"
#include "core/json_text.h"
#include "core/message_quote.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
// Each shard stays open as a mapping; published models have some tens of them.
constexpr std::size_t kMaxShards = 4096;

bool present(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Which shard the index names for each tensor. Everything wrong with it is in one InputError.
std::map<std::string, std::string> read_weight_map(const fs::path& index) {
  const Json root = read_json_file(index);
  JsonProblems problems(index.string());
  std::map<std::string, std::string> result;
  const auto map = root.is_object() ? root.find("weight_map") : root.end();
  if (!root.is_object() || map == root.end() || !map->is_object() || map->empty()) {
    problems.add("weight_map is missing or empty; an object that names a file for each tensor is expected");
  } else {
    std::set<std::string> refused;
    for (const auto& [name, value] : map->items()) {
      if (!value.is_string()) {
        problems.add(fmt::format("weight_map: {} is {}; a file name is expected", quote_for_message(name),
                                 shown(value)));
        continue;
      }
      const auto& shard = value.get_ref<const std::string&>();
      // Nothing outside the folder may be opened, whatever a downloaded index says.
      if (shard.empty() || shard == "." || shard == ".." ||
          shard.find_first_of(std::string("/\\\0", 3)) != std::string::npos) {
        if (refused.insert(shard).second) {
          problems.add(fmt::format("weight_map: {} is not the name of a file in the folder",
                                   quote_for_message(shard)));
        }
        continue;
      }
      result.emplace(name, shard);
    }
  }
  problems.throw_if_any();
  return result;
}

}  // namespace

std::string canonical_tensor_name(std::string_view name) {
  constexpr std::string_view kText = "model.language_model.";
  constexpr std::string_view kVision = "model.visual.";
  if (name.starts_with(kText)) return "model." + std::string(name.substr(kText.size()));
  if (name.starts_with(kVision)) return "visual." + std::string(name.substr(kVision.size()));
  return std::string(name);
}

Checkpoint Checkpoint::open(const fs::path& folder) {
  Checkpoint checkpoint;
  checkpoint.folder_ = folder;
  if (present(folder / kSingleFile)) {
    checkpoint.open_single(folder / kSingleFile);
  } else if (present(folder / kIndexFile)) {
    checkpoint.open_shards(folder / kIndexFile);
  } else {
    throw InputError(fmt::format("neither {} nor {} in {}; weights in the safetensors format are expected",
                                 kSingleFile, kIndexFile, folder.string()));
  }
  return checkpoint;
}

void Checkpoint::rename(std::string_view name, std::string_view other) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end() || !tensors_.emplace(std::string(other), found->second).second) {
    throw UsageError(
        fmt::format("{} cannot be called {}", quote_for_message(name), quote_for_message(other)));
  }
  tensors_.erase(tensors_.find(name));
}

void Checkpoint::open_single(const fs::path& file) {
  shards_.emplace_back(file);
  JsonProblems problems(file.string());
  const std::vector<TensorEntry>& entries = shards_[0].entries();
  for (std::size_t i = 0; i < entries.size(); ++i) place(entries[i].name, {0, i}, problems);
  problems.throw_if_any();
}

void Checkpoint::open_shards(const fs::path& index) {
  const std::map<std::string, std::string> weight_map = read_weight_map(index);
  JsonProblems problems(index.string());
  std::map<std::string, std::size_t> shard_of;
  for (const auto& [name, shard] : weight_map) shard_of.emplace(shard, 0);
  if (shard_of.size() > kMaxShards) {
    throw InputError(fmt::format("{} names {} shards; at most {} are expected", index.string(),
                                 shard_of.size(), kMaxShards));
  }
  for (auto& [shard, number] : shard_of) {
    if (!present(folder_ / shard))
      problems.add(fmt::format("shard {} is not in the folder", quote_for_message(shard)));
  }
  problems.throw_if_any();
  for (auto& [shard, number] : shard_of) {
    number = shards_.size();
    shards_.emplace_back(folder_ / shard);
  }

  for (const auto& [name, shard] : weight_map) {
    const std::size_t number = shard_of.at(shard);
    const TensorEntry* entry = shards_[number].find(name);
    if (entry == nullptr) {
      problems.add(
          fmt::format("tensor {} is not in shard {}", quote_for_message(name), quote_for_message(shard)));
      continue;
    }
    place(name, {number, static_cast<std::size_t>(entry - shards_[number].entries().data())}, problems);
  }
  problems.throw_if_any();
  for (const auto& [shard, number] : shard_of) {
    for (const TensorEntry& entry : shards_[number].entries()) {
      const auto placed = weight_map.find(entry.name);
      if (placed == weight_map.end() || placed->second != shard) unindexed_.push_back({entry.name, shard});
    }
  }
}

void Checkpoint::place(const std::string& name, const Location& location, JsonProblems& problems) {
  const auto [placed, is_new] = tensors_.emplace(canonical_tensor_name(name), location);
  if (is_new) return;
  problems.add(fmt::format("tensors {} and {} are two names of one tensor",
                           quote_for_message(at(placed->second).name), quote_for_message(name)));
}

const TensorEntry& Checkpoint::at(const Location& location) const {
  return shards_[location.shard].entries()[location.entry];
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> result;
  result.reserve(tensors_.size());
  for (const auto& [name, location] : tensors_) result.push_back(name);
  return result;
}

const TensorEntry* Checkpoint::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &at(found->second);
}

const Checkpoint::Location& Checkpoint::location(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    throw InputError(
        fmt::format("the checkpoint in {} has no tensor {}", folder_.string(), quote_for_message(name)));
  }
  return found->second;
}

TensorView Checkpoint::view(std::string_view name) const {
  const Location& where = location(name);
  return shards_[where.shard].tensor(at(where));
}

void Checkpoint::read(std::string_view name, std::uint64_t offset_bytes,
                      std::span<std::byte> destination) const {
  const Location& where = location(name);
  const TensorEntry& entry = at(where);
  if (offset_bytes > entry.size_bytes() || destination.size() > entry.size_bytes() - offset_bytes) {
    throw UsageError(fmt::format("{} bytes from byte {} of {}, which has {}", destination.size(),
                                 offset_bytes, quote_for_message(name), entry.size_bytes()));
  }
  shards_[where.shard].read(entry, offset_bytes, destination);
}

std::uint64_t Checkpoint::size_bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [name, location] : tensors_) sum += at(location).size_bytes();
  return sum;
}

}  // namespace qvl
