// NumPy archives: members, headers and elements. What is read must be what the header says.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "checkpoint/npz.h"
#include "qvl/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const qvl::NpzFile file({reinterpret_cast<const std::byte*>(data), size}, "fuzz.npz");
    for (std::size_t i = 0; i < file.entries().size(); ++i) {
      const qvl::NpyHeader& header = file.entries()[i].header;
      try {
        const qvl::Tensor tensor = file.read(i);
        if (tensor.bytes().size() != header.data_bytes || tensor.shape() != header.shape) std::abort();
      } catch (const qvl::InputError&) {
      }
    }
  } catch (const qvl::InputError&) {
  }
  // The header alone, past the checksum.
  try {
    const qvl::NpyHeader header =
        qvl::parse_npy_header({reinterpret_cast<const std::byte*>(data), size}, "fuzz.npy");
    const auto count = qvl::element_count(header.shape);
    if (!count || header.header_bytes > size ||
        static_cast<std::uint64_t>(*count) * qvl::size_bytes(header.dtype) != header.data_bytes) {
      std::abort();
    }
  } catch (const qvl::InputError&) {
  }
  return 0;
}
