#include "models/qwen25vl/family.h"

#include "image/rgb_image.h"
#include "models/family.h"
#include "models/qwen25vl/chat_template.h"
#include "models/qwen25vl/checkpoint_outline.h"
#include "models/qwen25vl/model.h"
#include "models/qwen25vl/patches.h"
#include "models/qwen25vl/presets.h"
#include "models/qwen25vl/smart_resize.h"

namespace qvl::qwen25vl {
namespace {

class Qwen25VlFamily final : public Family {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "Qwen2.5-VL"; }
  [[nodiscard]] std::string_view model_type() const noexcept override { return "qwen2_5_vl"; }
  [[nodiscard]] std::shared_ptr<const Model> parse(std::string_view config_json,
                                                   std::string_view source) const override {
    return make_model(parse_model_config(config_json, source));
  }

  [[nodiscard]] std::string render_chat(std::span<const ChatMessage> messages,
                                        const ChatOptions& options) const override {
    return qwen25vl::render_chat(messages, options);
  }
  [[nodiscard]] bool knows_template(std::string_view text) const override { return is_known_template(text); }

  void require_usable_shape(PixelSize size, std::string_view source) const override {
    qwen25vl::require_usable_shape(size, source);
  }
  [[nodiscard]] PixelSize resized(PixelSize size, const PreprocessorConfig& config) const override {
    return smart_resize(size, config.patch_size * config.merge_size, config.min_pixels, config.max_pixels);
  }
  [[nodiscard]] Tensor patches(const Tensor& pixels, const PreprocessorConfig& config) const override {
    return extract_patches(
        pixels.as<float>(), pixels.shape()[2], pixels.shape()[3],
        {config.patch_size, config.merge_size, config.temporal_patch_size, RgbImage::kChannels});
  }
  [[nodiscard]] std::vector<std::int64_t> grid_of(PixelSize size,
                                                  const PreprocessorConfig& config) const override {
    return {1, size.height / config.patch_size, size.width / config.patch_size};
  }

  [[nodiscard]] std::span<const Preset> presets() const override { return qwen25vl::presets(); }
  [[nodiscard]] CheckpointOutline outline(const Preset& preset,
                                          const OutlineOptions& options) const override {
    return outline_checkpoint(preset, options);
  }
};

}  // namespace

const Family& family() {
  static const Qwen25VlFamily instance;
  return instance;
}

}  // namespace qvl::qwen25vl
