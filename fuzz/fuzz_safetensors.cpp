// The header parser, on a whole file's bytes. What it accepts must hold together.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "checkpoint/safetensors_header.h"
#include "qvl/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  try {
    const qvl::SafetensorsHeader header = qvl::parse_safetensors_header(file, "fuzz.safetensors");
    std::uint64_t position = header.data_begin_bytes;
    for (const qvl::TensorEntry& entry : header.entries) {
      const auto count = qvl::element_count(entry.shape);
      if (!count || entry.begin_bytes != position || entry.end_bytes < position || entry.end_bytes > size ||
          static_cast<std::uint64_t>(*count) * qvl::size_bytes(entry.dtype) != entry.size_bytes()) {
        std::abort();
      }
      position = entry.end_bytes;
    }
    if (position != size) std::abort();
  } catch (const qvl::InputError&) {
  }
  return 0;
}
