// Any bytes that begin as a PNG file: decoded or refused with an InputError, and resized when small. The
// checksums of the chunks are made right first, or nearly every input would end at one.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "image/decode.h"
#include "image/resize.h"
#include "qvl/error.h"

namespace {

// CRC-32 of the PNG specification, annex D.
std::uint32_t checksum(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

void correct_checksums(std::vector<std::uint8_t>& png) {
  std::size_t at = 8;
  while (at + 12 <= png.size()) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8U | png[at + i];
    if (length > png.size() - at - 12) return;
    const std::uint32_t crc = checksum({png.data() + at + 4, length + 4});
    for (std::size_t i = 0; i < 4; ++i)
      png[at + 8 + length + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
    at += length + 12;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::int64_t kSmall = 1 << 14;
  std::vector<std::uint8_t> png(data, data + size);
  correct_checksums(png);
  try {
    const qvl::RgbImage image =
        qvl::decode_image(std::as_bytes(std::span(png)), "the input", {.max_pixels = 1U << 18U});
    if (image.height() * image.width() <= kSmall) (void)qvl::resize_bicubic(image, {28, 28});
  } catch (const qvl::InputError&) {  // what a broken file must give
  }
  return 0;
}
