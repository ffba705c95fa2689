#include "core/output_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <system_error>
#include <vector>

#include "core/json_text.h"
#include "core/output_file.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// Files, links and whatever else is no folder, without hidden ones.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  if (!fs::is_directory(folder, error)) return names;  // what else it may be, require_output_folder tells
  fs::directory_iterator it(folder, error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    std::string name = it->path().filename().string();
    if (!name.starts_with('.') && !it->is_directory(ignored)) names.push_back(std::move(name));
  }
  if (error) throw InputError(fmt::format("cannot look into {}: {}", folder.string(), error.message()));
  std::ranges::sort(names);
  return names;
}

bool is_manifest(const fs::path& file) {
  try {
    const Json json = read_json_file(file);
    return json.is_object() && json.contains("format") && json.contains("artifacts") &&
           json.contains("fingerprint");
  } catch (const InputError&) {
    return false;  // somebody else's
  }
}

bool is_weights(std::string_view name) {
  return name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json") ||
         (name.starts_with("pytorch_model") && name.ends_with(".bin"));
}

// "3 files (a, b, c)", the first few of them.
std::string counted(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  const std::vector<std::string> first(
      names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(kShown, names.size())));
  return fmt::format("{}{}", fmt::join(first, ", "), names.size() > kShown ? ", …" : "");
}

// The folder, or the nearest above it that is there.
fs::path nearest_existing(fs::path place) {
  std::error_code error;
  while (!place.empty() && !fs::exists(fs::symlink_status(place, error))) {
    if (place == place.root_path()) break;
    place = place.parent_path();
  }
  return place.empty() ? fs::path(".") : place;
}

void require_writable(const fs::path& folder) {
  std::error_code error;
  const fs::path there = nearest_existing(folder);
  if (!fs::is_directory(there, error)) {
    throw InputError(fmt::format("{} cannot be a folder: {} is {}; name a folder to write to",
                                 folder.string(), there.string(),
                                 fs::exists(there, error) ? "a file" : "a link to nothing"));
  }
  if (::access(there.c_str(), W_OK | X_OK) != 0) throw_write_error(folder, errno);
}

}  // namespace

FolderContents folder_contents(const fs::path& folder) {
  const std::vector<std::string> names = names_in(folder);
  const auto has = [&](std::string_view name) { return std::ranges::find(names, name) != names.end(); };
  const auto any = [&](const auto& is) { return std::ranges::any_of(names, is); };
  const auto ends = [](std::string_view ending) {
    return [ending](const std::string& name) { return name.ends_with(ending); };
  };
  const std::string some = counted(names);
  if (names.empty()) return {FolderKind::empty, "nothing"};
  if (has("manifest.json") && is_manifest(folder / "manifest.json"))
    return {FolderKind::model, "a model folder of qvl export"};
  if (has("measurements.sqlite") || (has("report.json") && has("report.html")))
    return {FolderKind::report, "a report of qvl sensitivity"};
  if (any(ends(".quantization.json"))) return {FolderKind::quantized, "ONNX files of qvl quantize"};
  if (any(is_weights)) {
    return {FolderKind::checkpoint,
            (has("config.json") ? "a checkpoint (" : "files of weights or tensors (") + some + ")"};
  }
  if (any(ends(".onnx"))) return {FolderKind::onnx, "ONNX files (" + some + ")"};
  return {FolderKind::other, "other files (" + some + ")"};
}

void require_output_folder(const fs::path& folder, FolderKind own, bool force) {
  require_writable(folder);
  const FolderContents found = folder_contents(folder);
  if (found.kind == FolderKind::empty || found.kind == own) return;
  const bool may_be_forced = found.kind == FolderKind::other || found.kind == FolderKind::onnx;
  if (may_be_forced && force) return;
  throw InputError(fmt::format("{} holds {}; choose a folder that is new or empty{}", folder.string(),
                               found.words, may_be_forced ? ", or --force to write there all the same" : ""));
}

void make_output_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_write_error(folder, error.value());
  if (!fs::is_directory(folder, error))
    throw InputError(fmt::format("{} is not a folder; name a folder to write to", folder.string()));
}

}  // namespace qvl
