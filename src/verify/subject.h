// The folder that is verified, and what the checks have found out about it so far.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "checkpoint/generation_config.h"
#include "checkpoint/preprocessor_config.h"
#include "folder/manifest.h"
#include "models/model_checkpoint.h"
#include "onnx/onnx_model.h"
#include "onnx/read/model_probe.h"
#include "qvl/verify.h"
#include "text/tokenizer.h"

namespace qvl {

// What build_vision_graph takes at most (65536 patches of 14 x 14): larger pictures are not made here either.
inline constexpr std::int64_t kMostPicturePixels = 12'845'056;

// What config.json and the files beside it say.
struct FolderConfigs {
  std::shared_ptr<const Model> model;
  GenerationConfig generation;
  PreprocessorConfig preprocessor;
  Tokenizer tokenizer;
};

struct SubjectArtifact {
  ManifestArtifact manifest;
  ArtifactKind kind;
  bool whole = false;                 // both files are there, as long as the manifest says
  std::unique_ptr<ModelProbe> probe;  // null when the graph cannot be read
  bool agrees = false;                // the manifest's list of tensors is the graph's
  std::unique_ptr<OnnxModel>
      rebuilt;  // the graph built anew; null unless the folder's is that graph, or a quantized one
  DType dtype = DType::f32;       // of a text artifact's logits and image_embeds
  DType mask_dtype = DType::i64;  // of a text artifact
  bool runnable = false;          // whole, and a valid graph with the contract's inputs and outputs
};

struct Subject {
  const VerifyOptions& options;
  Manifest manifest;
  std::optional<FolderConfigs> configs;  // nothing when they cannot be read
  std::optional<ModelCheckpoint> checkpoint;
  std::vector<SubjectArtifact> artifacts;  // vision, text, text_with_image; those that the manifest lists

  [[nodiscard]] std::filesystem::path place(const std::string& file) const { return options.folder / file; }
  // Null when the folder does not have it.
  [[nodiscard]] SubjectArtifact* find(std::string_view artifact) {
    for (SubjectArtifact& a : artifacts) {
      if (a.manifest.artifact == artifact) return &a;
    }
    return nullptr;
  }
  // Null when it is not there or may not be run.
  [[nodiscard]] SubjectArtifact* runnable(std::string_view artifact) {
    SubjectArtifact* a = find(artifact);
    return a != nullptr && a->runnable ? a : nullptr;
  }
};

// Reads the manifest, and opens the checkpoint where one is given. Throws InputError. `options` must outlive
// it.
[[nodiscard]] Subject open_subject(const VerifyOptions& options);

}  // namespace qvl
