// Random checkpoints of a published shape.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/dtype.h"
#include "qvl/progress.h"

namespace qvl {

struct SynthOptions {
  std::string preset;         // a name that preset() knows
  std::filesystem::path out;  // the checkpoint folder; made when missing
  std::int64_t layers = 0;    // of the decoder, fewer than the preset's; 0: all of them
  std::uint64_t seed = 0;
  DType dtype = DType::bf16;        // BF16, F16 or F32
  std::int64_t shards = 0;          // files of weights; 0: as many as 5 GB a file ask for
  std::filesystem::path tokenizer;  // a tokenizer.json to copy; empty: byte_tokenizer_json
  // Replace a checkpoint that is there: its configs, and all its weights, those in files of other names too.
  bool force = false;
  int threads = 0;                      // 0: one per processor; at most 8 work
  Progress* progress = nullptr;         // may be null; must outlive the call
  const CancelToken* cancel = nullptr;  // may be null; must outlive the call
};

// Writes a folder as on the Hugging Face hub, with random weights (see Noise and Model::weight_distribution). The
// same preset, seed, dtype and number of shards give the same bytes on any machine; a tensor's values depend
// on the seed and its name only. Everything appears at the end or not at all, config.json last; a few MiB per
// thread are held. Throws UsageError for an option, InputError for a tokenizer that does not fit (see
// Family::outline) and for files that are there without `force`, MachineError for a full disk,
// Interrupted.
void synthesize_checkpoint(const SynthOptions& options);

}  // namespace qvl
