// A decoder of three blocks with tied embeddings, and samples for it.
#pragma once

#include <filesystem>

namespace qvl::test {

// The units, by layer: q, k and v take one value, gate and up another; o and down one of their own. The head
// is the embedding's table, turned round. 22 units.
void write_small_decoder(const std::filesystem::path& model, unsigned seed = 1);
// So many samples of input_ids.
void write_small_samples(const std::filesystem::path& folder, int samples, std::int64_t step = 7);

}  // namespace qvl::test
