#include "models/qwen25vl/model.h"

#include <fmt/format.h>

#include <utility>

#include "models/prompt_layout.h"
#include "models/qwen25vl/chat_tokens.h"
#include "models/qwen25vl/family.h"
#include "models/qwen25vl/golden_stages.h"
#include "models/qwen25vl/model_work.h"
#include "models/qwen25vl/patches.h"
#include "models/qwen25vl/published_sizes.h"
#include "models/qwen25vl/tensors.h"
#include "models/qwen25vl/text_graph.h"
#include "models/qwen25vl/vision_graph.h"
#include "models/qwen25vl/weight_distribution.h"
#include "qvl/error.h"

namespace qvl::qwen25vl {
namespace {

ModelFacts facts_of(const ModelConfig& config) {
  ModelFacts facts;
  facts.vocab_size = config.text.vocab_size;
  facts.hidden_size = config.text.hidden_size;
  facts.max_position_embeddings = config.text.max_position_embeddings;
  facts.picture_channels = config.vision.in_channels;
  facts.block_pixels = config.vision.patch_size * config.vision.spatial_merge_size;
  facts.image_token_id = config.image_token_id;
  facts.picture_start_token_id = config.vision_start_token_id;
  facts.picture_end_token_id = config.vision_end_token_id;
  facts.special_token_ids = {config.image_token_id, config.video_token_id, config.vision_start_token_id,
                             config.vision_end_token_id};
  facts.tied_head = config.text.tie_word_embeddings;
  return facts;
}

OnnxModel vision_model(const ModelConfig& config, const TensorTable& table, PixelSize picture,
                       const Metadata& metadata) {
  VisionGraphOptions options;
  options.height_pixels = picture.height;
  options.width_pixels = picture.width;
  options.metadata = metadata;
  return build_vision_graph(config, table, options);
}

OnnxModel text_model(const ModelConfig& config, const TensorTable& table, const ArtifactOptions& artifact,
                     bool with_image, const Metadata& metadata) {
  const std::int64_t side = config.vision.patch_size * config.vision.spatial_merge_size;
  TextGraphOptions options;
  options.dtype = artifact.text_dtype;
  options.mask_type = artifact.mask_dtype == DType::boolean ? MaskType::boolean : MaskType::int64;
  options.with_image = with_image;
  options.picture_rows_tokens = artifact.picture.height / side;
  options.picture_columns_tokens = artifact.picture.width / side;
  options.metadata = metadata;
  if (with_image && (artifact.picture.height % side != 0 || artifact.picture.width % side != 0 ||
                     options.picture_rows_tokens <= 0 || options.picture_columns_tokens <= 0)) {
    throw UsageError(fmt::format("image size {} x {}; both sides must be positive multiples of {}",
                                 artifact.picture.width, artifact.picture.height, side));
  }
  return build_text_graph(config, table, options);
}

class Qwen25VlModel final : public Model {
 public:
  explicit Qwen25VlModel(const ModelConfig& config) : config_(config), facts_(facts_of(config)) {}

  [[nodiscard]] const Family& family() const noexcept override { return qwen25vl::family(); }
  [[nodiscard]] const ModelFacts& facts() const noexcept override { return facts_; }
  [[nodiscard]] std::optional<std::string> published_stem() const override {
    const auto size = published_size(config_.text);
    return size ? std::optional(fmt::format("qwen2_5_vl_{}", *size)) : std::nullopt;
  }
  [[nodiscard]] std::shared_ptr<const Model> with_own_head() const override {
    ModelConfig config = config_;
    config.text.tie_word_embeddings = false;
    return make_model(config);
  }

  [[nodiscard]] TensorTable tensors(TiedHead head) const override { return tensor_table(config_, head); }
  [[nodiscard]] std::vector<ArtifactSpec> artifacts(std::string_view set,
                                                    const ArtifactOptions& options) const override {
    (void)artifacts_of(set);  // throws for another than the reference set
    std::vector<ArtifactSpec> specs = reference_specs(*this, options);
    for (ArtifactSpec& spec : specs) {
      if (spec.kind.encodes_pictures) {
        spec.build = [this, options](const TensorTable& table, const Metadata& metadata) {
          return vision_model(config_, table, options.picture, metadata);
        };
      } else {
        spec.build = [this, options, with_image = spec.kind.takes_pictures](const TensorTable& table,
                                                                            const Metadata& metadata) {
          return text_model(config_, table, options, with_image, metadata);
        };
      }
    }
    return specs;
  }

  [[nodiscard]] std::vector<std::int64_t> lay_out_prompt(
      std::span<const std::int64_t> ids, std::span<const std::int64_t> tokens_per_picture) const override {
    return expand_image_tokens(ids, tokens_per_picture, config_.image_token_id);
  }
  void require_chat_tokens(const Tokenizer& tokenizer, std::string_view source) const override {
    qwen25vl::require_chat_tokens(tokenizer, config_, source);
  }
  void require_same_pictures(const PreprocessorConfig& preprocessor, std::string_view folder) const override {
    require_same_patches(preprocessor, config_.vision, folder);
  }

  [[nodiscard]] ModelWork vision_work(PixelSize size) const override {
    return qwen25vl::vision_work(config_, tensor_table(config_), grid_of(size));
  }
  [[nodiscard]] ModelWork text_work(std::int64_t tokens, DType dtype) const override {
    return qwen25vl::text_work(config_, tensor_table(config_), tokens, dtype);
  }
  [[nodiscard]] GoldenStages golden_stages() const override {
    GoldenStages stages;
    stages.vision = vision_stages(config_.vision);
    stages.text = text_stages(config_.text, false);
    stages.text_with_image = text_stages(config_.text, true);
    stages.vision_width = config_.vision.hidden_size;
    stages.vision_rows = [this](PixelSize size) { return grid_of(size).patches(); };
    stages.our_rows = [this](std::span<const std::int64_t> rows, PixelSize size) {
      return our_window_rows(rows, size, config_.vision);
    };
    stages.positions = [this](const ModelProbe& graph) { return position_values(graph, config_.text); };
    return stages;
  }
  [[nodiscard]] WeightDistribution weight_distribution(std::string_view name,
                                                       const Shape& shape) const override {
    return qwen25vl::weight_distribution(name, shape, config_);
  }

 private:
  [[nodiscard]] PatchGrid grid_of(PixelSize size) const {
    return {size.height / config_.vision.patch_size, size.width / config_.vision.patch_size};
  }

  ModelConfig config_;
  ModelFacts facts_;
};

}  // namespace

std::shared_ptr<const Model> make_model(const ModelConfig& config) {
  return std::make_shared<Qwen25VlModel>(config);
}

}  // namespace qvl::qwen25vl
