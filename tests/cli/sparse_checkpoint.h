// A checkpoint of any size that takes no space: all its weights are zero, in a file with holes.
#pragma once

#include <cstdint>
#include <filesystem>

namespace qvl::test {

// The demo checkpoint with another vocabulary size and an untied lm_head, so that an export of it takes its
// time: the two large tensors have vocab_size x 192 bfloat16 values each.
void write_sparse_checkpoint(const std::filesystem::path& folder, std::int64_t vocab_size);

}  // namespace qvl::test
