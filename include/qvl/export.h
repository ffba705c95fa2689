// From a checkpoint to a model folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "qvl/error.h"
#include "qvl/input.h"
#include "qvl/progress.h"

namespace qvl {

enum class MaskType { int64, boolean };

struct ExportOptions {
  // A checkpoint as on the Hugging Face hub: config.json, *.safetensors, tokenizer.json,
  // preprocessor_config.json.
  std::filesystem::path checkpoint;
  // For estimate_export only, instead of a checkpoint: "3b", "7b", "32b", "72b" or "tiny", as `qvl synth`
  // would write it.
  std::string preset;
  // The model folder; made when missing. Empty, for estimate_export only: none yet.
  std::filesystem::path out;
  // Which artifacts belong together: "reference", whose three are called "vision", "text" and "text_with_image".
  // Their inputs and outputs are listed in README.md.
  std::string set = "reference";
  // Which of them, by name; empty means all. Others of the same checkpoint that `out` holds already are kept.
  std::vector<std::string> only;
  // The fixed picture size in pixels; both must be multiples of 28 (patch size x merge size).
  std::int64_t image_width_pixels = 672;
  std::int64_t image_height_pixels = 672;
  MaskType mask_type = MaskType::int64;  // of the text artifacts' attention_mask
  bool text_in_f32 = false;              // the text artifacts in f32 instead of f16
  // First part of the file names; empty: told from config.json for the published sizes, else from the
  // folder's name.
  std::string stem;
  // Of a tied lm_head (tie_word_embeddings): it reads the table of token embeddings, which is then stored
  // once. Without it lm_head has a weight of its own, as other tools expect; the 3B takes 622 MB more for it.
  bool tied_head = false;
  // Equal data files are hard links of one file where the file system has them. Without it each is a file of
  // its own, which shares blocks where the file system can: recent releases of Python's onnx package, among
  // others, refuse hard links.
  bool hard_link = false;
  // Replace files that are there, and drop artifacts of another checkpoint.
  bool force = false;
  // Go on where the machine seems to have too little memory: what is estimated is an upper bound.
  bool force_memory = false;
  int threads = 0;                      // 0: one per processor; at most 8 work
  Progress* progress = nullptr;         // may be null; must outlive the call
  const CancelToken* cancel = nullptr;  // may be null; must outlive the call
  InputOptions input = {};              // of these, on_warning only
};

struct ExportedArtifact {
  std::string artifact;          // its name in the set
  std::string file;              // in `out`
  std::string data_file;         // in `out`
  std::uint64_t size_bytes = 0;  // of the data file
};

struct ExportResult {
  std::vector<ExportedArtifact> artifacts;
  std::uint64_t overflowed = 0;  // weights beyond f16's range, stored as ±65504; which ones: manifest.json
  std::uint64_t not_finite = 0;  // infinities and NaNs that the checkpoint holds; the artifacts hold them too
  std::uint64_t subnormal = 0;   // non-zero weights that became subnormal or zero in f16
};

struct PlannedFile {
  std::string name;                // in the model folder
  std::uint64_t size_bytes = 0;    // exactly
  std::string hard_link_of;        // the file that it is another name of; "" for none
  std::string shares_blocks_with;  // the equal file whose blocks it takes; "" for none
};

// What an export will take.
struct ExportEstimate {
  std::vector<PlannedFile> files;
  std::uint64_t disk_bytes = 0;  // in whole blocks, hard links and shared blocks counted once
  // Free where the folder is or will be (without one, in the current folder), with what killed exports left
  // there, which an export removes first; none when the system does not tell.
  std::optional<std::uint64_t> disk_available_bytes;
  std::uint64_t memory_bytes = 0;  // the most that will be resident, mappings counted; an upper bound
  std::optional<std::uint64_t> memory_available_bytes;

  [[nodiscard]] bool disk_fits() const noexcept {
    return !disk_available_bytes || disk_bytes <= *disk_available_bytes;
  }
  [[nodiscard]] bool memory_fits() const noexcept {
    return !memory_available_bytes || memory_bytes <= *memory_available_bytes;
  }
  // `force_memory`: of ExportOptions.
  [[nodiscard]] bool fits(bool force_memory = false) const noexcept {
    return disk_fits() && (force_memory || memory_fits());
  }
};

// A line for each file and one each for disk and memory, for people to read.
QVL_API std::string to_table(const ExportEstimate& estimate);

// Checks the checkpoint and the options as export_checkpoint does, and writes nothing. Throws as it does, but
// not for a machine that is too small.
QVL_API ExportEstimate estimate_export(const ExportOptions& options);

// Writes the artifacts, the tokenizer, the configs and manifest.json. Everything appears at the end or not at
// all; at most 512 MiB are resident whatever the model's size. Throws InputError for a broken checkpoint (all
// its problems at once) and for a place that cannot be written, MachineError with the table of the estimate
// where disk or (without `force_memory`) memory are too small for it, and for a disk that runs full,
// Interrupted when cancelled.
QVL_API ExportResult export_checkpoint(const ExportOptions& options);

}  // namespace qvl
