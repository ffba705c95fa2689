// A folder that `qvl export` or `qvl quantize` wrote.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "checkpoint/generation_config.h"
#include "checkpoint/preprocessor_config.h"
#include "folder/manifest.h"
#include "image/pixel_size.h"
#include "models/model.h"

namespace qvl {

class ModelFolder {
 public:
  // Reads manifest.json and the configs. Throws InputError when the folder has no manifest, one that is not
  // well-formed (read_manifest) or names files that are not there, and configs that do not fit each other.
  explicit ModelFolder(std::filesystem::path folder);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return folder_; }
  [[nodiscard]] const Manifest& manifest() const noexcept { return manifest_; }
  [[nodiscard]] const Model& model() const noexcept { return *model_; }
  [[nodiscard]] const GenerationConfig& generation() const noexcept { return generation_; }
  [[nodiscard]] const PreprocessorConfig& preprocessor() const noexcept { return preprocessor_; }
  [[nodiscard]] std::filesystem::path tokenizer() const { return folder_ / "tokenizer.json"; }

  // Of the artifact called "vision", "text" or "text_with_image". Throws InputError saying how to make it
  // when missing.
  [[nodiscard]] std::filesystem::path artifact(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const noexcept;
  // What the artifact's weights take in f32, in which the CPU provider computes.
  [[nodiscard]] std::uint64_t f32_weights_bytes(std::string_view name) const;
  // The one size that pictures are resized to. Throws InputError unless vision and text_with_image agree on
  // it.
  [[nodiscard]] PixelSize picture_size() const;

 private:
  [[nodiscard]] const ManifestArtifact* find(std::string_view name) const noexcept;
  [[nodiscard]] const ManifestArtifact& at(std::string_view name) const;

  std::filesystem::path folder_;
  Manifest manifest_;
  std::shared_ptr<const Model> model_;
  GenerationConfig generation_;
  PreprocessorConfig preprocessor_;
};

}  // namespace qvl
