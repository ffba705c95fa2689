// ONNX Runtime's shared library: found, opened and asked for its API once per process, when it is first
// needed. Programs that never need it work without it, and another build (one for GPUs) can be put in its
// place.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "runtime/library_search.h"

struct OrtApi;
struct OrtEnv;

namespace qvl {

// Every function may be called from any thread. Throws MachineError when the library is missing, cannot be
// loaded or is too old; the next call tries again.
class RuntimeLibrary {
 public:
  // The one of this process.
  static const RuntimeLibrary& get();

  explicit RuntimeLibrary(const LibrarySearch& search);
  RuntimeLibrary(const RuntimeLibrary&) = delete;
  RuntimeLibrary& operator=(const RuntimeLibrary&) = delete;

  [[nodiscard]] const OrtApi& api() const noexcept { return *api_; }
  [[nodiscard]] const OrtEnv& environment() const noexcept { return *environment_; }
  // Gives the environment an arena for the CPU that sessions can share (session.use_env_allocators).
  void make_shared_arena() const;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] const std::string& version() const noexcept { return version_; }

 private:
  void open(const LibrarySearch& search);
  void bind();

  // Never closed: its threads and the values that others hold may outlive everything here.
  void* handle_ = nullptr;
  const OrtApi* api_ = nullptr;
  OrtEnv* environment_ = nullptr;
  std::string path_;
  std::string version_;
  mutable std::once_flag shared_arena_;
};

// Of the library that is loaded: "1.32.0", and the file.
[[nodiscard]] std::string runtime_version();
[[nodiscard]] std::string runtime_path();

// As ONNX Runtime names them: "CPUExecutionProvider", "CUDAExecutionProvider", …
[[nodiscard]] std::vector<std::string> available_providers();

// The last error that the library logged in this process, from any thread, and forgets it; empty when there
// was none. It never prints by itself. Some failures (a provider that cannot be loaded) are told nowhere
// else.
[[nodiscard]] std::string take_last_runtime_log();

[[nodiscard]] inline const OrtApi& ort_api() { return RuntimeLibrary::get().api(); }

}  // namespace qvl
