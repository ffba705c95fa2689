// What qvl's own operators have in common: operands and results of a node, errors. Internal to this layer.
#pragma once

#include <onnxruntime_c_api.h>

#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <span>

#include "kernels/attention.h"
#include "qvl/error.h"
#include "runtime/library.h"

namespace qvl {

// Exceptions must not pass through ONNX Runtime.
template <class Work>
OrtStatusPtr as_status(Work work) noexcept {
  const OrtApi& api = RuntimeLibrary::get().api();
  try {
    work();
    return nullptr;
  } catch (const std::bad_alloc&) {
    return api.CreateStatus(ORT_FAIL, "bad_alloc");  // a fault of the machine: see check()
  } catch (const InputError& error) {
    return api.CreateStatus(ORT_INVALID_ARGUMENT, error.what());
  } catch (const std::exception& error) {
    return api.CreateStatus(ORT_FAIL, error.what());
  }
}

// An f32 operand of the node; none where it is left out. `doing` is for messages. Throws as check() does.
[[nodiscard]] std::optional<AttentionOperand> operand(const OrtKernelContext& context, std::size_t index,
                                                      const char* doing);
// Throws InputError where it is left out.
[[nodiscard]] AttentionOperand needed_operand(const OrtKernelContext& context, std::size_t index,
                                              const char* doing);
// Its first result, to be written.
[[nodiscard]] std::span<float> result(OrtKernelContext& context, const Shape& shape, const char* doing);

// An operator of f32 operands, all of them needed, and one f32 result, still without its name, the number of
// its operands, and its functions.
[[nodiscard]] OrtCustomOp f32_operator();

}  // namespace qvl
