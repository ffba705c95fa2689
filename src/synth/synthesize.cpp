#include "synth/synthesize.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "checkpoint/shard_plan.h"
#include "core/disk_space.h"
#include "core/output_file.h"
#include "core/output_folder.h"
#include "core/parallel.h"
#include "core/staging_folder.h"
#include "core/text_file.h"
#include "models/family.h"
#include "qvl/error.h"
#include "synth/noise.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr const char* kConfigFile = "config.json";
// Made and written at a time: what a processor's own cache holds.
constexpr std::uint64_t kBlockBytes = std::uint64_t{1} << 20U;

CheckpointOutline outline_of(const SynthOptions& options) {
  OutlineOptions outline;
  outline.decoder_layers = options.layers;
  outline.dtype = options.dtype;
  if (!options.tokenizer.empty()) {
    outline.tokenizer_json = read_text_file(options.tokenizer);
    outline.tokenizer_source = options.tokenizer.string();
  }
  const auto [family, chosen] = preset(options.preset);
  return family->outline(chosen, outline);
}

class Synthesis {
 public:
  explicit Synthesis(const SynthOptions& options)
      : options_(options),
        outline_(outline_of(options)),
        plan_(plan_shards(outline_.tensors, {.files = options.shards})) {
    if (!plan_.index_json.empty()) outline_.files.push_back({kIndexFile, plan_.index_json});
    refuse_existing();
  }

  void run() {
    StagingFolder staging(options_.out);
    require_space(staging.path());
    if (options_.progress != nullptr) options_.progress->begin("weights", plan_.tensor_bytes);
    for (const ShardFile& file : plan_.files) write_shard(file, staging.path() / file.name);
    if (options_.progress != nullptr) options_.progress->end();
    for (const TextFile& file : outline_.files) write_file(staging.path() / file.name, file.text);
    publish(staging);
  }

 private:
  // A part of a tensor's bytes.
  struct Piece {
    const TensorEntry* entry;
    std::uint64_t offset_bytes;  // in the tensor
    std::uint64_t size_bytes;
  };

  static std::vector<Piece> pieces_of(const SafetensorsLayout& layout) {
    std::vector<Piece> pieces;
    for (const TensorEntry& entry : layout.entries) {
      for (std::uint64_t at = 0; at < entry.size_bytes(); at += kBlockBytes) {
        pieces.push_back({&entry, at, std::min(kBlockBytes, entry.size_bytes() - at)});
      }
    }
    return pieces;
  }

  void write_shard(const ShardFile& shard, const fs::path& place) {
    OutputFile file(place);
    file.reserve(shard.layout.size_bytes);
    file.write_at(0, std::as_bytes(std::span(shard.layout.header)));
    const std::vector<Piece> pieces = pieces_of(shard.layout);
    parallel_for(pieces.size(), workers_, options_.cancel, [&](std::size_t i, unsigned worker) {
      const Piece& piece = pieces[i];
      buffers_[worker].resize(kBlockBytes);
      const std::span<std::byte> bytes(buffers_[worker].data(), piece.size_bytes);
      fill(piece, bytes);
      // File systems let one thread at a time into a file; those that wait for their turn in the kernel spin.
      const std::lock_guard lock(mutex_);
      file.write_at(piece.entry->begin_bytes + piece.offset_bytes, bytes);
      if (options_.progress != nullptr) options_.progress->advance(bytes.size());
    });
    file.commit();
  }

  void fill(const Piece& piece, std::span<std::byte> bytes) const {
    const TensorEntry& entry = *piece.entry;
    const auto [mean, deviation] = outline_.model->weight_distribution(entry.name, entry.shape);
    const Noise noise(options_.seed, entry.name, mean, deviation);
    noise.fill(entry.dtype, piece.offset_bytes / size_bytes(entry.dtype), bytes);
  }

  [[nodiscard]] bool is_ours(const std::string& name) const {
    const auto named = [&](const auto& file) { return file.name == name; };
    return std::any_of(outline_.files.begin(), outline_.files.end(), named) ||
           std::any_of(plan_.files.begin(), plan_.files.end(), named);
  }

  // Names in the folder that this checkpoint replaces, or that would be mistaken for its weights.
  [[nodiscard]] std::vector<std::string> existing() const {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator it(options_.out, error), end; !error && it != end; it.increment(error)) {
      std::string name = it->path().filename().string();
      if (is_ours(name) || is_weight_file_name(name)) names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  void refuse_existing() const {
    require_output_folder(options_.out, FolderKind::checkpoint, options_.force);
    std::error_code error;
    for (const std::string& name : existing()) {
      const fs::path there = options_.out / name;
      if (fs::is_directory(there, error)) {
        throw InputError(fmt::format("cannot write {}: a folder is there", there.string()));
      }
      if (!options_.force) {
        throw InputError(fmt::format("{} is there already; --force replaces the checkpoint", there.string()));
      }
    }
  }

  void require_space(const fs::path& folder) const {
    std::uint64_t needed = plan_.file_bytes;
    for (const TextFile& file : outline_.files) needed += file.text.size();
    const auto available = free_disk_bytes(folder);
    if (!available || *available >= needed) return;
    throw MachineError(
        fmt::format("{}: the checkpoint takes {} bytes, {} are free; free some space or choose another place",
                    options_.out.string(), needed, *available));
  }

  // config.json is what makes a folder a checkpoint: the old one goes first, the new one comes last.
  void publish(StagingFolder& staging) const {
    if (options_.cancel != nullptr) options_.cancel->throw_if_cancelled();
    const auto alone = staging.lock();
    std::vector<std::string> names;
    for (const ShardFile& file : plan_.files) names.push_back(file.name);
    for (const TextFile& file : outline_.files) {
      if (file.name != kConfigFile) names.push_back(file.name);
    }
    names.emplace_back(kConfigFile);
    std::error_code ignored;
    for (const std::string& name : existing()) {  // weights under other names
      if (is_ours(name)) continue;
      fs::remove(options_.out / kConfigFile, ignored);
      fs::remove(options_.out / name, ignored);
    }
    staging.publish(names);
  }

  const SynthOptions& options_;
  CheckpointOutline outline_;
  ShardPlan plan_;
  const unsigned workers_ = worker_count(options_.threads);
  std::vector<std::vector<std::byte>> buffers_{workers_};
  std::mutex mutex_;  // of the file that is being written, and of progress
};

}  // namespace

void synthesize_checkpoint(const SynthOptions& options) { Synthesis(options).run(); }

}  // namespace qvl
