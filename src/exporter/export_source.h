// What an export is planned from: a checkpoint, or a preset's outline of one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "folder/tensor_report.h"
#include "models/model_checkpoint.h"

namespace qvl {

struct ExportSource {
  struct SmallFile {
    std::string name;
    std::uint64_t size_bytes = 0;
  };

  std::string name;         // of the checkpoint's folder
  std::string fingerprint;  // checkpoint_fingerprint
  std::shared_ptr<const Model> model;
  SourceLookup tensor;
  std::vector<SmallFile> files;  // those that are copied into the model folder as they are
};

// The checkpoint must outlive the source, and match its model's tensors.
[[nodiscard]] ExportSource source_from_checkpoint(const ModelCheckpoint& checkpoint);

// The checkpoint that `qvl synth` writes for a preset. Throws UsageError when there is no such preset.
[[nodiscard]] ExportSource source_from_preset(std::string_view name);

}  // namespace qvl
