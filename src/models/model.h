// A model of some family, as its config.json describes it: all that the rooms above ask of it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/preprocessor_config.h"
#include "core/dtype.h"
#include "core/shape.h"
#include "image/pixel_size.h"
#include "models/artifact_spec.h"
#include "models/golden_stages.h"
#include "models/model_work.h"
#include "models/tensor_table.h"
#include "models/weight_distribution.h"

namespace qvl {

class Family;
class Tokenizer;

// What all families have.
struct ModelFacts {
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;  // of the decoder, and of a picture's features
  std::int64_t max_position_embeddings = 0;
  std::int64_t picture_channels = 3;
  std::int64_t block_pixels = 1;  // side of what becomes one image token
  std::int64_t image_token_id = -1;
  // -1 where the config does not name them.
  std::int64_t picture_start_token_id = -1;
  std::int64_t picture_end_token_id = -1;
  std::vector<std::int64_t> special_token_ids;  // of pictures and videos: for them and around them
  bool tied_head = false;                       // lm_head is the table of token embeddings

  // Image tokens of a picture whose sides are multiples of block_pixels.
  [[nodiscard]] std::int64_t picture_tokens(PixelSize size) const noexcept {
    return size.height / block_pixels * (size.width / block_pixels);
  }
};

class Model {
 public:
  virtual ~Model() = default;

  [[nodiscard]] virtual const Family& family() const noexcept = 0;
  [[nodiscard]] virtual const ModelFacts& facts() const noexcept = 0;
  // First part of the artifacts' file names for a published model: "qwen2_5_vl_3b"; none for another.
  [[nodiscard]] virtual std::optional<std::string> published_stem() const { return std::nullopt; }
  // The same model whose lm_head has a weight of its own, whatever config.json says.
  [[nodiscard]] virtual std::shared_ptr<const Model> with_own_head() const = 0;

  [[nodiscard]] virtual TensorTable tensors(TiedHead head = TiedHead::own) const = 0;
  // Throws UsageError for a set that the family does not have.
  [[nodiscard]] virtual std::vector<ArtifactSpec> artifacts(std::string_view set,
                                                            const ArtifactOptions& options) const = 0;

  // The prompt that a chat was rendered and encoded to, with an image token for each of a picture's tokens.
  // Throws InputError where it has more or fewer pictures than `tokens_per_picture`.
  [[nodiscard]] virtual std::vector<std::int64_t> lay_out_prompt(
      std::span<const std::int64_t> ids, std::span<const std::int64_t> tokens_per_picture) const = 0;
  // The tokens that the chat template writes must be in the tokenizer, and where config.json names their ids,
  // under these ids. Throws one InputError listing all that are missing or differ; `source` names the
  // tokenizer in it.
  virtual void require_chat_tokens(const Tokenizer& tokenizer, std::string_view source) const = 0;
  // The preprocessor must cut pictures as the vision encoder expects them. Throws InputError that names
  // `folder`.
  virtual void require_same_pictures(const PreprocessorConfig& preprocessor,
                                     std::string_view folder) const = 0;

  // Of the vision artifact for a picture, and of a text artifact in `dtype` for one sequence.
  [[nodiscard]] virtual ModelWork vision_work(PixelSize size) const = 0;
  [[nodiscard]] virtual ModelWork text_work(std::int64_t tokens, DType dtype) const = 0;
  [[nodiscard]] virtual GoldenStages golden_stages() const { return {}; }
  // Of a tensor of the checkpoint.
  [[nodiscard]] virtual WeightDistribution weight_distribution(std::string_view name,
                                                               const Shape& shape) const = 0;
};

// The artifact of this name. Throws UsageError that lists those that can be had.
[[nodiscard]] ArtifactSpec spec_of(const Model& model, std::string_view set, std::string_view name,
                                   const ArtifactOptions& options);

}  // namespace qvl
