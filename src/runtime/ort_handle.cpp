#include "runtime/ort_handle.h"

#include <fmt/format.h>
#include <onnxruntime_c_api.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>

#include "qvl/error.h"
#include "runtime/library.h"

namespace qvl {
namespace {

// An object of ONNX Runtime exists only when the library is open, so this cannot fail where it is used.
// The errno that ONNX Runtime writes into a message.
std::optional<int> system_error_in(std::string_view message) {
  constexpr std::string_view kSign = "SystemError : ";
  const std::size_t at = message.find(kSign);
  if (at == std::string_view::npos) return std::nullopt;
  int number = 0;
  const char* const digits = message.data() + at + kSign.size();
  const auto [end, error] = std::from_chars(digits, message.data() + message.size(), number);
  return error == std::errc() ? std::optional(number) : std::nullopt;
}

bool lacks_threads(std::string_view message) {
  return message.find("pthread_create failed") != std::string_view::npos;
}

bool is_fault_of_machine(OrtErrorCode code, std::string_view message) {
  if (code == ORT_EP_FAIL || code == ORT_ENGINE_ERROR || lacks_threads(message)) return true;
  const auto system = system_error_in(message);
  if (system && (*system == ENOMEM || *system == EMFILE || *system == ENFILE || *system == EIO)) return true;
  constexpr std::array<std::string_view, 8> kSigns{"Failed to allocate memory",
                                                   "bad_alloc",
                                                   "out of memory",
                                                   "Available memory of",
                                                   "CUDA failure",
                                                   "CUDNN failure",
                                                   "CUBLAS failure",
                                                   "CUDA error"};
  for (const std::string_view sign : kSigns) {
    if (message.find(sign) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

std::string in_words(const std::string& message) {
  if (lacks_threads(message))
    return "no more threads can be had; --threads 1 needs the fewest, `ulimit -u` tells how many this user "
           "may have";
  const auto error = system_error_in(message);
  if (!error) return message;
  return fmt::format("a file that it needs cannot be read: {}", std::strerror(*error));
}

void OrtRelease::operator()(OrtCUDAProviderOptionsV2* object) const noexcept {
  ort_api().ReleaseCUDAProviderOptions(object);
}
void OrtRelease::operator()(OrtMemoryInfo* object) const noexcept { ort_api().ReleaseMemoryInfo(object); }
void OrtRelease::operator()(OrtOp* object) const noexcept { ort_api().ReleaseOp(object); }
void OrtRelease::operator()(OrtOpAttr* object) const noexcept { ort_api().ReleaseOpAttr(object); }
void OrtRelease::operator()(OrtRunOptions* object) const noexcept { ort_api().ReleaseRunOptions(object); }
void OrtRelease::operator()(OrtSession* object) const noexcept { ort_api().ReleaseSession(object); }
void OrtRelease::operator()(OrtSessionOptions* object) const noexcept {
  ort_api().ReleaseSessionOptions(object);
}
void OrtRelease::operator()(OrtStatus* object) const noexcept { ort_api().ReleaseStatus(object); }
void OrtRelease::operator()(OrtTensorTypeAndShapeInfo* object) const noexcept {
  ort_api().ReleaseTensorTypeAndShapeInfo(object);
}
void OrtRelease::operator()(OrtTypeInfo* object) const noexcept { ort_api().ReleaseTypeInfo(object); }
void OrtRelease::operator()(OrtValue* object) const noexcept { ort_api().ReleaseValue(object); }

std::string message_of(OrtStatus* status) {
  if (status == nullptr) return {};
  const OrtHandle<OrtStatus> owner(status);
  std::string message = ort_api().GetErrorMessage(status);
  while (message.ends_with('\n')) message.pop_back();
  return message;
}

void check(OrtStatus* status, const std::string& doing) {
  if (status == nullptr) return;
  const OrtErrorCode code = ort_api().GetErrorCode(status);
  const std::string message = message_of(status);
  if (is_fault_of_machine(code, message)) throw MachineError(fmt::format("{}: {}", doing, in_words(message)));
  throw InputError(fmt::format("{}: {}", doing, in_words(message)));
}

}  // namespace qvl
