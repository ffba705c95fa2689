// The speed of a tokenizer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "bench/machine_limits.h"
#include "bench/memory_use.h"
#include "bench/timed_runs.h"

namespace qvl {

class Tokenizer;

struct TokenizerBenchOptions {
  std::filesystem::path tokenizer_json;
  std::filesystem::path text{};  // a file; empty: sample_text of 4 MiB
  RunOptions runs;
  double limits_seconds = 1;
};

struct TokenizerBenchResult {
  bool made_text = false;  // whether the text is sample_text
  std::uint64_t text_bytes = 0;
  std::uint64_t tokens = 0;
  double load_seconds = 0;
  Samples encode_seconds;  // text_bytes to tokens
  Samples decode_seconds;  // and back
  std::uint64_t decoded_bytes = 0;
  MemoryUse most;  // while it ran
  MeasuredLimits limits;
};

// One thread. Throws InputError for a tokenizer or a text that cannot be read and for an empty text.
[[nodiscard]] TokenizerBenchResult bench_tokenizer(const TokenizerBenchOptions& options);

// Text for a tokenizer, the same on every machine: words of its own vocabulary (which is in order of
// frequency) drawn by Zipf's law with punctuation, numbers and now and then two words run together; words of
// our own where the vocabulary has fewer than a hundred. At least `bytes` long.
[[nodiscard]] std::string sample_text(const Tokenizer& tokenizer, std::size_t bytes);

}  // namespace qvl
