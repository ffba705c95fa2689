#include "toy_family.h"

#include <algorithm>
#include <random>

#include "checkpoint/safetensors_writer.h"
#include "core/json_text.h"
#include "models/prompt_layout.h"
#include "onnx/build/graph_builder.h"
#include "qvl/error.h"
#include "support/test_data.h"
#include "text/tokenizer.h"

namespace qvl::test {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kBlock = 4;  // pixels
constexpr std::int64_t kBlockNumbers = 3 * kBlock * kBlock;
constexpr const char* kImageToken = "<|image_pad|>";

class ToyModel final : public Model {
 public:
  explicit ToyModel(const Json& config) {
    facts_.vocab_size = config.at("vocab_size").get<std::int64_t>();
    facts_.hidden_size = config.at("hidden_size").get<std::int64_t>();
    facts_.max_position_embeddings = 1000;
    facts_.block_pixels = kBlock;
    facts_.image_token_id = config.at("image_token_id").get<std::int64_t>();
    facts_.special_token_ids = {facts_.image_token_id};
  }

  [[nodiscard]] const Family& family() const noexcept override { return toy_family(); }
  [[nodiscard]] const ModelFacts& facts() const noexcept override { return facts_; }
  [[nodiscard]] std::shared_ptr<const Model> with_own_head() const override {
    return std::make_shared<ToyModel>(*this);
  }
  [[nodiscard]] TensorTable tensors(TiedHead) const override {
    return {
        {{"patch.weight",
          TensorPart::vision,
          {facts_.hidden_size, kBlockNumbers},
          Transform::transpose,
          true},
         {"embed.weight", TensorPart::text, {facts_.vocab_size, facts_.hidden_size}, Transform::none, false},
         {"head.weight",
          TensorPart::text,
          {facts_.vocab_size, facts_.hidden_size},
          Transform::transpose,
          true}},
        false,
        false};
  }
  [[nodiscard]] std::vector<ArtifactSpec> artifacts(std::string_view set,
                                                    const ArtifactOptions& options) const override {
    (void)artifacts_of(set);
    std::vector<ArtifactSpec> specs = reference_specs(*this, options);
    for (ArtifactSpec& spec : specs) {
      spec.build = [this, options, kind = spec.kind](const TensorTable& table, const Metadata& metadata) {
        return kind.encodes_pictures ? vision(options, table, metadata)
                                     : text(kind, options, table, metadata);
      };
    }
    return specs;
  }
  [[nodiscard]] std::vector<std::int64_t> lay_out_prompt(
      std::span<const std::int64_t> ids, std::span<const std::int64_t> tokens_per_picture) const override {
    return expand_image_tokens(ids, tokens_per_picture, facts_.image_token_id);
  }
  void require_chat_tokens(const Tokenizer& tokenizer, std::string_view source) const override {
    if (tokenizer.token_id(kImageToken) != facts_.image_token_id)
      throw InputError(std::string(source) + " has no image token");
  }
  void require_same_pictures(const PreprocessorConfig&, std::string_view) const override {}
  [[nodiscard]] ModelWork vision_work(PixelSize size) const override {
    const auto tokens = static_cast<double>(facts_.picture_tokens(size));
    return {2 * tokens * static_cast<double>(kBlockNumbers * facts_.hidden_size), 0,
            4 * static_cast<double>(kBlockNumbers * facts_.hidden_size)};
  }
  [[nodiscard]] ModelWork text_work(std::int64_t tokens, DType dtype) const override {
    const auto weights = static_cast<double>(facts_.vocab_size * facts_.hidden_size);
    return {2 * static_cast<double>(tokens) * weights, 0, weights * static_cast<double>(size_bytes(dtype))};
  }
  [[nodiscard]] WeightDistribution weight_distribution(std::string_view, const Shape&) const override {
    return {0.0F, 0.1F};
  }

 private:
  [[nodiscard]] static Value weight(GraphBuilder& graph, const TensorTable& table, const std::string& name,
                                    DType dtype) {
    return graph.weight(name, dtype, table.row(name).graph_shape());
  }

  [[nodiscard]] OnnxModel vision(const ArtifactOptions& options, const TensorTable& table,
                                 const Metadata& metadata) const {
    const auto [height, width] = options.picture;
    if (height <= 0 || width <= 0 || height % kBlock != 0 || width % kBlock != 0)
      throw UsageError("a toy looks at pictures whose sides are multiples of 4");
    GraphBuilder graph("toy_vision");
    const Value pixels = graph.input("pixel_values", DType::f32, {1, 3, height, width});
    Value x = graph.reshape(pixels, {3, height / kBlock, kBlock, width / kBlock, kBlock});
    x = graph.transpose(x, {1, 3, 0, 2, 4});
    x = graph.reshape(x, {facts_.picture_tokens(options.picture), kBlockNumbers});
    graph.output(graph.matmul(x, weight(graph, table, "patch.weight", DType::f32)), "vision_features");
    return graph.finish(metadata);
  }

  [[nodiscard]] OnnxModel text(const ArtifactKind& kind, const ArtifactOptions& options,
                               const TensorTable& table, const Metadata& metadata) const {
    const Dim batch = Dim::symbol("batch");
    const Dim seq = Dim::symbol("seq");
    const DType dtype = options.text_dtype;
    GraphBuilder graph("toy_text");
    const Value ids = graph.input("input_ids", DType::i64, {batch, seq});
    const Value mask = graph.input("attention_mask", options.mask_dtype, {batch, seq});
    Value x = graph.gather_rows(weight(graph, table, "embed.weight", dtype), ids);
    if (kind.takes_pictures) {
      const Value pictures = graph.input("image_embeds", dtype, {batch, seq, facts_.hidden_size});
      const Value is_picture = graph.equal(ids, graph.scalar(facts_.image_token_id));
      x = graph.where(graph.unsqueeze(is_picture, {2}), pictures, x);
    }
    x = graph.mul(graph.cast(x, DType::f32), graph.unsqueeze(graph.cast(mask, DType::f32), {2}));
    x = graph.add(graph.cumsum_exclusive(x, 1), x);
    const Value logits = graph.matmul(graph.cast(x, dtype), weight(graph, table, "head.weight", dtype));
    graph.output(logits, "logits");
    return graph.finish(metadata);
  }

  ModelFacts facts_;
};

class ToyFamily final : public Family {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "Toy-VL"; }
  [[nodiscard]] std::string_view model_type() const noexcept override { return "toy_vl"; }
  [[nodiscard]] std::shared_ptr<const Model> parse(std::string_view config_json,
                                                   std::string_view source) const override {
    return std::make_shared<ToyModel>(parse_json(config_json, source));
  }
  [[nodiscard]] std::string render_chat(std::span<const ChatMessage> messages,
                                        const ChatOptions&) const override {
    std::string text;
    for (const ChatMessage& message : messages) {
      for (const ChatPart& part : message.parts)
        text += part.kind == ChatPart::Kind::image ? kImageToken : part.value;
    }
    return text + "\n";
  }
  [[nodiscard]] bool knows_template(std::string_view text) const override { return text == "toy"; }
  void require_usable_shape(PixelSize, std::string_view) const override {}
  [[nodiscard]] PixelSize resized(PixelSize size, const PreprocessorConfig&) const override { return size; }
  [[nodiscard]] Tensor patches(const Tensor& pixels, const PreprocessorConfig&) const override {
    return pixels;
  }
  [[nodiscard]] std::vector<std::int64_t> grid_of(PixelSize size, const PreprocessorConfig&) const override {
    return {1, size.height / kBlock, size.width / kBlock};
  }
};

std::vector<float> random_numbers(std::int64_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> numbers(static_cast<std::size_t>(count));
  for (float& x : numbers) x = static_cast<float>(random() % 2001) / 1000.0F - 1.0F;
  return numbers;
}

}  // namespace

const Family& toy_family() {
  static const ToyFamily family;
  return family;
}

std::vector<float> ToyWeights::features(std::span<const float> pixels, std::int64_t height,
                                        std::int64_t width) const {
  std::vector<float> rows;
  for (std::int64_t top = 0; top < height; top += kBlock) {
    for (std::int64_t left = 0; left < width; left += kBlock) {
      for (std::int64_t h = 0; h < hidden; ++h) {
        float sum = 0;
        for (std::int64_t i = 0; i < kBlockNumbers; ++i) {
          const std::int64_t y = top + i / kBlock % kBlock;
          const std::int64_t x = left + i % kBlock;
          const std::int64_t channel = i / (kBlock * kBlock);
          sum += pixels[static_cast<std::size_t>((channel * height + y) * width + x)] *
                 patch[static_cast<std::size_t>(h * kBlockNumbers + i)];
        }
        rows.push_back(sum);
      }
    }
  }
  return rows;
}

std::vector<std::int64_t> ToyWeights::answer(std::vector<std::int64_t> ids, std::int64_t image_token,
                                             std::span<const float> features, std::size_t tokens) const {
  std::vector<std::int64_t> found;
  const auto width = static_cast<std::size_t>(hidden);
  while (found.size() < tokens) {
    std::vector<double> state(width);
    std::size_t picture = 0;
    for (const std::int64_t id : ids) {
      const float* const row =
          id == image_token ? &features[width * picture++] : &embedding[width * static_cast<std::size_t>(id)];
      for (std::size_t h = 0; h < width; ++h) state[h] += static_cast<double>(row[h]);
    }
    std::vector<double> logits(static_cast<std::size_t>(vocab));
    for (std::size_t v = 0; v < logits.size(); ++v) {
      for (std::size_t h = 0; h < width; ++h)
        logits[v] += state[h] * static_cast<double>(head[v * width + h]);
    }
    found.push_back(std::ranges::max_element(logits) - logits.begin());
    ids.push_back(found.back());
  }
  return found;
}

ToyWeights write_toy_checkpoint(const fs::path& folder) {
  fs::create_directories(folder);
  fs::copy(demo_checkpoint() / "tokenizer.json", folder / "tokenizer.json");
  const Tokenizer tokenizer = Tokenizer::load(folder / "tokenizer.json");
  ToyWeights weights;
  weights.vocab = static_cast<std::int64_t>(tokenizer.vocab_size());
  weights.hidden = 16;
  weights.patch = random_numbers(weights.hidden * kBlockNumbers, 1);
  weights.embedding = random_numbers(weights.vocab * weights.hidden, 2);
  weights.head = random_numbers(weights.vocab * weights.hidden, 3);
  const auto tensor = [](const std::string& name, const std::vector<float>& numbers, Shape shape) {
    return NamedTensor{name, {DType::f32, std::move(shape), std::as_bytes(std::span(numbers))}};
  };
  write_safetensors(folder / "model.safetensors",
                    std::vector{tensor("patch.weight", weights.patch, {weights.hidden, kBlockNumbers}),
                                tensor("embed.weight", weights.embedding, {weights.vocab, weights.hidden}),
                                tensor("head.weight", weights.head, {weights.vocab, weights.hidden})});
  const Json config{{"model_type", "toy_vl"},
                    {"vocab_size", weights.vocab},
                    {"hidden_size", weights.hidden},
                    {"eos_token_id", 0},
                    {"image_token_id", *tokenizer.token_id(kImageToken)}};
  write_file(folder / "config.json", config.dump());
  write_file(folder / "preprocessor_config.json", R"({"patch_size": 4, "merge_size": 1})");
  write_file(folder / "chat_template.jinja", "toy");
  return weights;
}

}  // namespace qvl::test
