// What an export is planned from: a checkpoint, or a preset's outline of one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/model_config.h"
#include "folder/tensor_report.h"

namespace qvl {

struct ExportSource {
  struct SmallFile {
    std::string name;
    std::uint64_t size_bytes = 0;
  };

  std::string name;         // of the checkpoint's folder
  std::string fingerprint;  // checkpoint_fingerprint
  ModelConfig config;
  SourceLookup tensor;
  std::vector<SmallFile> files;  // those that are copied into the model folder as they are
};

// The checkpoint must outlive the source, and match the TensorTable of its config.
[[nodiscard]] ExportSource source_from_checkpoint(const Checkpoint& checkpoint);

// The checkpoint that `qvl synth` writes for a preset. Throws UsageError when there is no such preset.
[[nodiscard]] ExportSource source_from_preset(std::string_view name);

}  // namespace qvl
