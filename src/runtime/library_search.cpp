#include "runtime/library_search.h"

#include <dlfcn.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <system_error>

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kVersionedName = "libonnxruntime.so.1.";

// The numbers of "1.32.0"; empty when it is anything else ("1.32.0.bak").
std::vector<unsigned> version_numbers(std::string_view text) {
  std::vector<unsigned> numbers;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (true) {
    unsigned number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc{}) return {};
    numbers.push_back(number);
    if (next == end) return numbers;
    if (*next != '.') return {};
    at = next + 1;
  }
}

std::optional<fs::path> newest_versioned(const fs::path& folder) {
  std::optional<fs::path> newest;
  std::vector<unsigned> newest_version;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string file = it->path().filename().string();
    if (!file.starts_with(kVersionedName)) continue;
    auto version = version_numbers(std::string_view(file).substr(kVersionedName.size()));
    if (version.empty() || version <= newest_version) continue;
    newest_version = std::move(version);
    newest = it->path();
  }
  return newest;
}

std::optional<fs::path> library_in(const fs::path& folder) {
  std::error_code ignored;
  for (const char* const file : {"libonnxruntime.so", "libonnxruntime.so.1"}) {
    if (fs::exists(folder / file, ignored)) return folder / file;
  }
  return newest_versioned(folder);
}

}  // namespace

LibrarySearch LibrarySearch::of_this_process() {
  LibrarySearch search;
  if (const char* const root = std::getenv("ONNXRUNTIME_ROOT"); root != nullptr)
    search.environment_root = root;
  std::error_code ignored;
  search.executable_folder = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&find_library), &info) != 0 && info.dli_fname != nullptr) {
    search.code_folder = fs::absolute(info.dli_fname, ignored).parent_path();
  }
  search.build_folder = QVL_ORT_LIBRARY_DIR;
  search.system_name = "libonnxruntime.so.1";
  return search;
}

std::vector<fs::path> LibrarySearch::folders() const {
  std::vector<fs::path> folders;
  if (!environment_root.empty()) folders.push_back(environment_root / "lib");
  for (const fs::path& folder : {executable_folder, code_folder}) {
    if (folder.empty() || std::find(folders.begin(), folders.end(), folder) != folders.end()) continue;
    const fs::path lib = folder.parent_path() / "lib";
    folders.insert(folders.end(), {folder, lib, lib / "qvl"});
  }
  if (!build_folder.empty()) folders.push_back(build_folder);
  return folders;
}

std::optional<fs::path> find_library(const LibrarySearch& search) {
  for (const fs::path& folder : search.folders()) {
    std::error_code error;
    const auto found = library_in(folder);
    if (!found) continue;
    const fs::path absolute = fs::absolute(*found, error);
    return error ? *found : absolute;
  }
  return std::nullopt;
}

}  // namespace qvl
