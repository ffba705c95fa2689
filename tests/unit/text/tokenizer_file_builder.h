// A small tokenizer.json for tests: the 256 bytes, a few merges, Qwen2's split pattern.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "text/byte_level.h"
#include "text/qwen2_split.h"

namespace qvl::test {

// The letter of a byte is its id; then "th" 256, "the" 257, "Ġt" 258; "<|end|>" 259 is special, "<tool>" 260
// is not.
inline nlohmann::json small_tokenizer() {
  nlohmann::json vocab;
  for (int byte = 0; byte < 256; ++byte) {
    const char character = static_cast<char>(static_cast<unsigned char>(byte));
    vocab[to_byte_letters({&character, 1})] = byte;
  }
  vocab["th"] = 256;
  vocab["the"] = 257;
  vocab["\u0120t"] = 258;
  const auto added = [](const char* content, int id, bool special) {
    return nlohmann::json{{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                          {"rstrip", false}, {"normalized", false}, {"special", special}};
  };
  const nlohmann::json byte_level{
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", {added("<|end|>", 259, true), added("<tool>", 260, false)}},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer",
           {{"type", "Sequence"},
            {"pretokenizers",
             {{{"type", "Split"},
               {"pattern", {{"Regex", std::string(Qwen2Splitter::kPattern)}}},
               {"behavior", "Isolated"},
               {"invert", false}},
              byte_level}}}},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", vocab},
            {"merges", {"t h", {"th", "e"}, "\u0120 t"}}}}};
}

}  // namespace qvl::test
