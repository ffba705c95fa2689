// ONNX inspection: any bytes are a summary or an InputError.
#include <cstddef>
#include <cstdint>
#include <span>

#include "onnx/read/model_summary.h"
#include "qvl/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    (void)qvl::summarize_model(std::as_bytes(std::span(data, size)), "fuzz");
  } catch (const qvl::InputError&) {
    // expected for most inputs
  }
  return 0;
}
