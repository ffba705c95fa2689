// Any bytes as a picture: decoded or refused with an InputError, and resized when small. The seeds of a
// target lead the fuzzer into one format (the decoder tells formats apart by content). PNG has a target of
// its own, which mends checksums.
#include <cstddef>
#include <cstdint>
#include <span>

#include "image/decode.h"
#include "image/resize.h"
#include "qvl/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::int64_t kSmall = 1 << 14;
  try {
    const qvl::RgbImage image =
        qvl::decode_image(std::as_bytes(std::span(data, size)), "the input", {.max_pixels = 1U << 18U});
    if (image.height() * image.width() <= kSmall) (void)qvl::resize_bicubic(image, {28, 28});
  } catch (const qvl::InputError&) {  // what a broken file must give
  }
  return 0;
}
