#include "runtime/library.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <onnxruntime_c_api.h>

#include <charconv>
#include <exception>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "qvl/error.h"
#include "runtime/ort_handle.h"

namespace qvl {
namespace {

constexpr std::string_view kRemedy =
    "run scripts/setup.sh, or set ONNXRUNTIME_ROOT to the folder of an unpacked ONNX Runtime release";

struct RuntimeLog {
  std::mutex mutex;
  std::string last_error;
};

// Never destroyed: threads of the library may log while the process ends.
RuntimeLog& runtime_log() {
  static RuntimeLog* const log = new RuntimeLog;
  return *log;
}

void ORT_API_CALL keep_log(void*, OrtLoggingLevel, const char*, const char*, const char*,
                           const char* message) noexcept {
  try {
    RuntimeLog& log = runtime_log();
    const std::lock_guard lock(log.mutex);
    log.last_error = message == nullptr ? "" : message;
  } catch (const std::exception&) {
    return;  // a lost log line harms nobody
  }
}

std::string not_found_message(const LibrarySearch& search, std::string_view loader_message) {
  std::string message =
      "ONNX Runtime's library is not found. Looked for libonnxruntime.so, libonnxruntime.so.1 and "
      "libonnxruntime.so.1.* in:";
  for (const std::filesystem::path& folder : search.folders()) message += "\n  " + folder.string();
  return message + fmt::format("\nand for {} where the system's loader looks ({}).\nTo get it: {}.",
                               search.system_name, loader_message, kRemedy);
}

// The 32 of "1.32.0"; 0 when it is not such a text or not of major version 1.
unsigned minor_version(std::string_view version) {
  unsigned minor = 0;
  if (version.starts_with("1.")) {
    const auto [end, error] = std::from_chars(version.data() + 2, version.data() + version.size(), minor);
    if (error != std::errc{}) return 0;
  }
  return minor;
}

}  // namespace

RuntimeLibrary::RuntimeLibrary(const LibrarySearch& search) {
  open(search);
  bind();
}

void RuntimeLibrary::open(const LibrarySearch& search) {
  const auto found = find_library(search);
  path_ = found ? found->string() : search.system_name;
  handle_ = ::dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle_ != nullptr) return;
  const char* const reason = ::dlerror();
  const std::string_view text = reason == nullptr ? "unknown reason" : reason;
  if (!found) throw MachineError(not_found_message(search, text));
  throw MachineError(
      fmt::format("cannot load ONNX Runtime at {}: {}. To get another: {}.", path_, text, kRemedy));
}

void RuntimeLibrary::bind() {
  void* const symbol = ::dlsym(handle_, "OrtGetApiBase");
  if (symbol == nullptr) {
    throw MachineError(fmt::format(
        "{} is not ONNX Runtime's library (it has no OrtGetApiBase). To get it: {}.", path_, kRemedy));
  }
  if (Dl_info info{}; ::dladdr(symbol, &info) != 0 && info.dli_fname != nullptr) path_ = info.dli_fname;
  const OrtApiBase* const base = reinterpret_cast<const OrtApiBase*(ORT_API_CALL*)()>(symbol)();
  version_ = base->GetVersionString();
  // An old library answers an unknown API version by printing, so it is not asked.
  api_ = minor_version(version_) < ORT_API_VERSION ? nullptr : base->GetApi(ORT_API_VERSION);
  if (api_ == nullptr) {
    throw MachineError(
        fmt::format("ONNX Runtime at {} is version {}, at least 1.{} is needed. To get it: {}.", path_,
                    version_, ORT_API_VERSION, kRemedy));
  }
  OrtStatus* const status =
      api_->CreateEnvWithCustomLogger(&keep_log, nullptr, ORT_LOGGING_LEVEL_ERROR, "qvl", &environment_);
  if (status != nullptr) {
    const std::string message = api_->GetErrorMessage(status);
    api_->ReleaseStatus(status);
    throw MachineError(fmt::format("ONNX Runtime at {} does not start: {}", path_, message));
  }
}

void RuntimeLibrary::make_shared_arena() const {
  std::call_once(shared_arena_, [this] {
    const std::string doing = "making an arena that sessions share";
    OrtMemoryInfo* raw_memory = nullptr;
    check(api_->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &raw_memory), doing);
    const OrtHandle<OrtMemoryInfo> memory(raw_memory);
    // 1: grows by what is asked for, not by doubling.
    const char* const keys[] = {"arena_extend_strategy"};
    const std::size_t values[] = {1};
    OrtArenaCfg* config = nullptr;
    check(api_->CreateArenaCfgV2(keys, values, 1, &config), doing);
    OrtStatus* const status = api_->CreateAndRegisterAllocator(environment_, raw_memory, config);
    api_->ReleaseArenaCfg(config);
    check(status, doing);
  });
}

const RuntimeLibrary& RuntimeLibrary::get() {
  // Never destroyed, so that sessions and tensors in static storage may be released after main().
  static const RuntimeLibrary* const library = new RuntimeLibrary(LibrarySearch::of_this_process());
  return *library;
}

std::string runtime_version() { return RuntimeLibrary::get().version(); }

std::string runtime_path() { return RuntimeLibrary::get().path(); }

std::vector<std::string> available_providers() {
  const OrtApi& api = RuntimeLibrary::get().api();
  char** names = nullptr;
  int count = 0;
  check(api.GetAvailableProviders(&names, &count), "asking ONNX Runtime for its providers");
  const auto release = [&](char** owned) { (void)message_of(api.ReleaseAvailableProviders(owned, count)); };
  const std::unique_ptr<char*, decltype(release)> owner(names, release);
  return {names, names + count};
}

std::string take_last_runtime_log() {
  RuntimeLog& log = runtime_log();
  const std::lock_guard lock(log.mutex);
  return std::exchange(log.last_error, {});
}

}  // namespace qvl
