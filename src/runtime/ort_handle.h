// Owning pointers to ONNX Runtime's objects, and its errors as exceptions. Its types are declared, not
// defined, here: only .cpp files include its headers.
#pragma once

#include <memory>
#include <string>

struct OrtCUDAProviderOptionsV2;
struct OrtMemoryInfo;
struct OrtOp;
struct OrtOpAttr;
struct OrtRunOptions;
struct OrtSession;
struct OrtSessionOptions;
struct OrtStatus;
struct OrtTensorTypeAndShapeInfo;
struct OrtTypeInfo;
struct OrtValue;

namespace qvl {

struct OrtRelease {
  void operator()(OrtCUDAProviderOptionsV2* object) const noexcept;
  void operator()(OrtMemoryInfo* object) const noexcept;
  void operator()(OrtOp* object) const noexcept;
  void operator()(OrtOpAttr* object) const noexcept;
  void operator()(OrtRunOptions* object) const noexcept;
  void operator()(OrtSession* object) const noexcept;
  void operator()(OrtSessionOptions* object) const noexcept;
  void operator()(OrtStatus* object) const noexcept;
  void operator()(OrtTensorTypeAndShapeInfo* object) const noexcept;
  void operator()(OrtTypeInfo* object) const noexcept;
  void operator()(OrtValue* object) const noexcept;
};

template <class T>
using OrtHandle = std::unique_ptr<T, OrtRelease>;

// The message of a status, empty for success. Takes ownership.
[[nodiscard]] std::string message_of(OrtStatus* status);

// A message of ONNX Runtime with its numbers of system errors, and its trouble with threads, in words.
[[nodiscard]] std::string in_words(const std::string& message);

// Does nothing for success. Otherwise throws MachineError when the machine is to blame (no memory, the GPU),
// else InputError, with "DOING: what ONNX Runtime says". Takes ownership of the status.
void check(OrtStatus* status, const std::string& doing);

}  // namespace qvl
