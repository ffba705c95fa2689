// A family of its own that only tests register: model_type "toy_vl". Its decoder adds up the embeddings of all
// tokens so far; its vision encoder turns each block of 4 x 4 pixels by one matrix.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "models/family.h"

namespace qvl::test {

[[nodiscard]] const Family& toy_family();

// The weights of a toy checkpoint, [out, in] as it stores them.
struct ToyWeights {
  std::int64_t vocab = 0;
  std::int64_t hidden = 0;
  std::vector<float> patch;      // [hidden, 48]
  std::vector<float> embedding;  // [vocab, hidden]
  std::vector<float> head;       // [vocab, hidden]

  // What the model answers to a prompt, most likely token by most likely token: `features` [n, hidden] stand at
  // the image tokens.
  [[nodiscard]] std::vector<std::int64_t> answer(std::vector<std::int64_t> ids, std::int64_t image_token,
                                                 std::span<const float> features, std::size_t tokens) const;
  // pixels f32 [3, height, width] -> [blocks, hidden], blocks row by row.
  [[nodiscard]] std::vector<float> features(std::span<const float> pixels, std::int64_t height,
                                            std::int64_t width) const;
};

// Writes a checkpoint folder with the demo's tokenizer and random weights.
[[nodiscard]] ToyWeights write_toy_checkpoint(const std::filesystem::path& folder);

}  // namespace qvl::test
