// The families of models, by the model_type of config.json: what is the same for all models of one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/preprocessor_config.h"
#include "core/tensor.h"
#include "image/pixel_size.h"
#include "models/checkpoint_outline.h"
#include "models/model.h"
#include "models/preset.h"
#include "text/chat.h"

namespace qvl {

class Family {
 public:
  virtual ~Family() = default;

  // As its publisher writes it: "Qwen2.5-VL".
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  [[nodiscard]] virtual std::string_view model_type() const noexcept = 0;
  // Throws InputError with all that is wrong with the text; `source` names it.
  [[nodiscard]] virtual std::shared_ptr<const Model> parse(std::string_view config_json,
                                                           std::string_view source) const = 0;

  // As the checkpoints' chat template; each picture is one image token.
  [[nodiscard]] virtual std::string render_chat(std::span<const ChatMessage> messages,
                                                const ChatOptions& options = {}) const = 0;
  // Whether render_chat has this template's behaviour.
  [[nodiscard]] virtual bool knows_template(std::string_view text) const = 0;

  // Throws InputError, naming `source`, for shapes that the model cannot look at.
  virtual void require_usable_shape(PixelSize size, std::string_view source) const = 0;
  // The size at which the model looks at a picture that is not of a fixed size. Throws InputError and
  // UsageError for shapes and limits that cannot be.
  [[nodiscard]] virtual PixelSize resized(PixelSize size, const PreprocessorConfig& config) const = 0;
  // Pixels f32 [1, 3, height, width] -> f32 [patches, numbers of a patch].
  [[nodiscard]] virtual Tensor patches(const Tensor& pixels, const PreprocessorConfig& config) const = 0;
  // Patches along time, height and width of a picture of this size.
  [[nodiscard]] virtual std::vector<std::int64_t> grid_of(PixelSize size,
                                                          const PreprocessorConfig& config) const = 0;

  // From the smallest to the largest.
  [[nodiscard]] virtual std::span<const Preset> presets() const { return {}; }
  // Of one of its presets. Throws UsageError and InputError for options that do not go with it.
  [[nodiscard]] virtual CheckpointOutline outline(const Preset& preset, const OutlineOptions& options) const;
};

// All that are known, the oldest first.
[[nodiscard]] std::vector<const Family*> families();
// Adds one, which must live as long as the program. Of two with one model_type the later counts.
void register_family(const Family& family);
// That of a config.json. What has no known model_type is taken for the oldest family's, whose parser says
// what is wrong with it.
[[nodiscard]] const Family& family_of(std::string_view config_json, std::string_view source);
// That of a folder; without a config.json that can be read, the oldest.
[[nodiscard]] const Family& family_in(const std::filesystem::path& folder);

// Throws InputError as the family's parser, and where the file cannot be read.
[[nodiscard]] std::shared_ptr<const Model> read_model(const std::filesystem::path& config_json);

// A preset of some family.
struct FamilyPreset {
  const Family* family = nullptr;
  Preset preset;
};
[[nodiscard]] std::vector<FamilyPreset> presets();
// Throws UsageError that lists the names when there is no such preset.
[[nodiscard]] FamilyPreset preset(std::string_view name);

}  // namespace qvl
