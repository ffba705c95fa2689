// The parity certificate of a model folder: what is proved of it, check by check.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "qvl/error.h"
#include "qvl/progress.h"

namespace qvl {

struct VerifyOptions {
  // What export_checkpoint wrote.
  std::filesystem::path folder;
  // What it was exported from; empty: the weights are not compared.
  std::filesystem::path checkpoint;
  // Outputs of the reference implementation, stage by stage (docs/goldens.md); empty: none.
  std::filesystem::path goldens;
  // Whether the models are run. Without it files, graphs and weights are checked, and ONNX Runtime is not
  // needed.
  bool run = true;
  std::string provider = "cpu";         // "cpu" or "cuda"
  int threads = 0;                      // of the models' runs; 0: one per processor
  Progress* progress = nullptr;         // may be null; must outlive the call
  const CancelToken* cancel = nullptr;  // may be null; must outlive the call
};

enum class CheckStatus { passed, failed, skipped };

struct Check {
  std::string
      name;  // "checksums", "weights.text", "golden.image_0_0.vision.blocks.7"; docs/verify.md lists them
  CheckStatus status = CheckStatus::passed;
  std::string detail;  // what was compared; why it failed or was skipped
  // How much was looked at, where that is counted.
  std::optional<std::uint64_t> tensors;
  std::optional<std::uint64_t> bytes;
  // Largest absolute difference divided by the largest absolute value expected, and the most that is allowed.
  // Infinity where something is not finite.
  std::optional<double> difference;
  std::optional<double> bar;
};

struct Certificate {
  std::vector<Check> checks;  // in the order in which they were made
  // The first stage, in the order of computation, at which the folder's models leave the goldens
  // ("vision.blocks.7"); empty: none does, or there are no goldens.
  std::string first_divergence;

  // Nothing failed. What was skipped does not count.
  [[nodiscard]] bool passed() const noexcept { return first_failure() == nullptr; }
  // Null when nothing failed.
  [[nodiscard]] const Check* first_failure() const noexcept {
    for (const Check& check : checks) {
      if (check.status == CheckStatus::failed) return &check;
    }
    return nullptr;
  }
};

// What is wrong with the folder comes back as failed checks. Throws InputError for what cannot be used at all
// (no manifest that can be read, no checkpoint at its place, a goldens file that is broken), UsageError for
// an unknown provider, MachineError when ONNX Runtime or its provider cannot be had or memory runs out,
// Interrupted when cancelled.
[[nodiscard]] QVL_API Certificate verify_folder(const VerifyOptions& options);

}  // namespace qvl
