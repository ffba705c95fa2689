// Where ONNX Runtime's shared library may lie.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace qvl {

// In the order of search.
struct LibrarySearch {
  std::filesystem::path
      environment_root;  // an unpacked release with the library in its lib/; empty: not given
  std::filesystem::path executable_folder;  // here, in ../lib and in ../lib/qvl; empty: unknown
  std::filesystem::path code_folder;   // of the file that holds this code, libqvl.so or the program: likewise
  std::filesystem::path build_folder;  // where the build found it; empty: nowhere
  std::string system_name;             // asked of the system's loader at last

  // $ONNXRUNTIME_ROOT, the folders of the running program and of this code, and what the build knew.
  static LibrarySearch of_this_process();

  // The folders looked into, first to last.
  [[nodiscard]] std::vector<std::filesystem::path> folders() const;
};

// libonnxruntime.so, else libonnxruntime.so.1, else the newest libonnxruntime.so.1.*, of the first folder
// that has one. Absolute. Never throws for a folder that is missing or unreadable.
[[nodiscard]] std::optional<std::filesystem::path> find_library(const LibrarySearch& search);

}  // namespace qvl
