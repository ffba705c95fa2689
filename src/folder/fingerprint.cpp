#include "folder/fingerprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/sha256.h"

namespace qvl {
namespace {

constexpr std::uint64_t kSampleBytes = 4096;

}  // namespace

std::string checkpoint_fingerprint(const Checkpoint& checkpoint) {
  Sha256 sha;
  std::vector<std::byte> sample;
  for (const std::string& tensor : checkpoint.names()) {
    const TensorEntry& entry = *checkpoint.find(tensor);
    const std::string line = fmt::format("{} {} {}\n", tensor, name(entry.dtype), to_string(entry.shape));
    sha.update(std::as_bytes(std::span(line)));
    sample.resize(std::min(kSampleBytes, entry.size_bytes()));
    checkpoint.read(tensor, 0, sample);
    sha.update(sample);
  }
  return sha.hex();
}

}  // namespace qvl
