#include "models/model_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "models/family.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr const char* kHead = "lm_head.weight";
constexpr const char* kEmbedding = "model.embed_tokens.weight";

// Compares in small pieces: mapped pages of whole tables would count as resident.
bool same_values(const Checkpoint& checkpoint, std::string_view name, std::string_view other) {
  const TensorEntry& a = *checkpoint.find(name);
  const TensorEntry& b = *checkpoint.find(other);
  if (a.dtype != b.dtype || a.shape != b.shape) return false;
  constexpr std::uint64_t kPieceBytes = std::uint64_t{1} << 20U;
  std::vector<std::byte> left;
  std::vector<std::byte> right;
  for (std::uint64_t done = 0; done < a.size_bytes(); done += left.size()) {
    left.resize(static_cast<std::size_t>(std::min(kPieceBytes, a.size_bytes() - done)));
    right.resize(left.size());
    checkpoint.read(name, done, left);
    checkpoint.read(other, done, right);
    if (left != right) return false;
  }
  return true;
}

void settle_tied_head(ModelCheckpoint& opened) {
  if (!opened.model->facts().tied_head || opened.files.find(kHead) == nullptr) return;
  if (opened.files.find(kEmbedding) == nullptr) {
    opened.files.rename(kHead, kEmbedding);
    return;
  }
  if (same_values(opened.files, kHead, kEmbedding)) return;
  opened.model = opened.model->with_own_head();
  opened.notices.push_back(
      fmt::format("{} says tie_word_embeddings, but the stored {} is another one than {}: it is used, and "
                  "nothing is tied (tie_word_embeddings: false in the config says the same)",
                  (opened.files.folder() / "config.json").string(), kHead, kEmbedding));
}

}  // namespace

ModelCheckpoint ModelCheckpoint::open(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder / "config.json", error)) {
    throw InputError(fmt::format(
        "no config.json in {}; a checkpoint folder as on the Hugging Face hub is expected", folder.string()));
  }
  std::shared_ptr<const Model> model = read_model(folder / "config.json");
  ModelCheckpoint opened{Checkpoint::open(folder), std::move(model), {}};
  settle_tied_head(opened);
  return opened;
}

}  // namespace qvl
