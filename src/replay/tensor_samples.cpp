#include "replay/tensor_samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "checkpoint/tensor_file.h"
#include "core/sha256.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExpected = "a folder with one .safetensors or .npz file for each sample is expected";

bool is_sample(const fs::directory_entry& entry) {
  std::error_code ignored;  // a link to nowhere is no file
  const fs::path name = entry.path().filename();
  return !name.string().starts_with('.') && entry.is_regular_file(ignored) &&
         (name.extension() == ".safetensors" || name.extension() == ".npz");
}

}  // namespace

TensorSamples::TensorSamples(const fs::path& folder, std::size_t limit) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    throw InputError(fmt::format("{} is {}; {}", folder.string(),
                                 fs::exists(folder, error) ? "not a folder" : "not there", kExpected));
  }
  bool any = false;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    any = true;
    if (is_sample(*entry)) files_.push_back(entry->path());
  }
  if (error) throw InputError(fmt::format("cannot list {}: {}", folder.string(), error.message()));
  if (files_.empty()) {
    throw InputError(fmt::format("{} {}; {}", folder.string(),
                                 any ? "holds no .safetensors and no .npz file" : "is empty", kExpected));
  }
  std::ranges::sort(files_, {}, [](const fs::path& path) { return path.filename().string(); });
  if (limit > 0 && files_.size() > limit) files_.resize(limit);
}

std::string TensorSamples::name(std::size_t index) const { return files_.at(index).filename().string(); }

std::string TensorSamples::sha256(std::size_t index) const { return sha256_of_file(files_.at(index)); }

std::vector<std::pair<std::string, Tensor>> TensorSamples::load(std::size_t index) const {
  const fs::path& path = files_.at(index);
  auto tensors = read_tensor_file(path);
  if (tensors.empty()) throw InputError(fmt::format("{} holds no tensor", path.string()));
  std::ranges::sort(tensors, {}, [](const auto& pair) -> const std::string& { return pair.first; });
  return tensors;
}

}  // namespace qvl
