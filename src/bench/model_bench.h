// The speed of the artifacts of a model folder under ONNX Runtime.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "bench/machine_limits.h"
#include "bench/memory_use.h"
#include "bench/timed_runs.h"
#include "models/model_work.h"
#include "runtime/session_options.h"

namespace qvl {

struct ModelBenchOptions {
  std::filesystem::path folder;  // what `qvl export` wrote
  // "text" or "text_with_image", of bench_text only; empty: text, else text_with_image.
  std::string artifact;
  std::vector<std::int64_t> tokens;  // lengths of the sequences, of bench_text only
  SessionOptions session;            // the engine's are engine_session_options()
  RunOptions runs;
  double limits_seconds = 1;
};

// The runs of one input.
struct ModelRow {
  std::int64_t tokens = 0;  // of the sequence, or image tokens of the picture
  Samples seconds;
  ModelWork work;
  MemoryUse most;  // while it ran, warm-up included

  [[nodiscard]] double flop_per_second() const { return rate(work.flop()); }
  [[nodiscard]] double weight_bytes_per_second() const { return rate(work.weight_bytes); }
  // No run can be faster than its arithmetic at the limit of the processors, nor than reading the weights
  // once at the limit of the memory: whether the first takes longer.
  [[nodiscard]] bool bound_by_arithmetic(const MachineLimits& limits) const;

 private:
  [[nodiscard]] double rate(double amount) const {
    return seconds.median() > 0 ? amount / seconds.median() : 0;
  }
};

struct ModelBenchResult {
  std::string artifact;
  std::filesystem::path file;
  std::uint64_t file_bytes = 0;  // with its data file
  std::string runtime_version;
  std::string provider;
  int threads = 0;  // that the session uses
  double load_seconds = 0;
  MemoryUse load_most;   // while it was loaded
  MemoryUse after_load;  // when that was done
  std::vector<ModelRow> rows;
  MeasuredLimits limits;
};

// The vision artifact on a picture made for it. Throws as ModelFolder and Session do, UsageError for options
// that make no sense, Interrupted.
[[nodiscard]] ModelBenchResult bench_vision(const ModelBenchOptions& options);

// A text artifact on one sequence of each length, logits of all tokens (the reference artifacts have no
// cache: so is every step of the engine). text_with_image gets embeddings of zero and no image token, which
// is the same work. Throws also UsageError for a length that is not positive or beyond the model's.
[[nodiscard]] ModelBenchResult bench_text(const ModelBenchOptions& options);

}  // namespace qvl
