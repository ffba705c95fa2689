// What `qvl export` wrote, as the engine needs it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "checkpoint/generation_config.h"
#include "checkpoint/model_config.h"
#include "checkpoint/preprocessor_config.h"
#include "image/pixel_size.h"

namespace qvl {

class ModelFolder {
 public:
  // Reads manifest.json and the configs. Throws InputError when the folder has no manifest, or one that names
  // files that are not there.
  explicit ModelFolder(std::filesystem::path folder);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return folder_; }
  [[nodiscard]] const ModelConfig& config() const noexcept { return config_; }
  [[nodiscard]] const GenerationConfig& generation() const noexcept { return generation_; }
  [[nodiscard]] const PreprocessorConfig& preprocessor() const noexcept { return preprocessor_; }
  [[nodiscard]] std::filesystem::path tokenizer() const { return folder_ / "tokenizer.json"; }

  // Of the artifact called "vision", "text" or "text_with_image". Throws InputError saying how to make it
  // when missing.
  [[nodiscard]] const std::filesystem::path& artifact(const std::string& name) const;
  [[nodiscard]] bool has(const std::string& name) const noexcept;
  // What the artifact's weights take in f32, in which the CPU provider computes.
  [[nodiscard]] std::uint64_t f32_weights_bytes(const std::string& name) const;
  // The one size that pictures are resized to. Throws InputError unless vision and text_with_image agree on
  // it.
  [[nodiscard]] PixelSize picture_size() const;

 private:
  struct Entry {
    std::string name;
    std::filesystem::path file;
    std::uint64_t f32_weights_bytes = 0;
    std::optional<PixelSize> picture_size;
  };
  [[nodiscard]] const Entry& entry(const std::string& name) const;
  void read_manifest();

  std::filesystem::path folder_;
  ModelConfig config_;
  GenerationConfig generation_;
  PreprocessorConfig preprocessor_;
  std::vector<Entry> entries_;
};

}  // namespace qvl
