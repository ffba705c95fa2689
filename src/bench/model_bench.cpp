#include "bench/model_bench.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/machine_info.h"
#include "core/tensor.h"
#include "folder/artifact_names.h"
#include "folder/model_folder.h"
#include "models/decoder_inputs.h"
#include "models/picture_pixels.h"
#include "qvl/error.h"
#include "runtime/library.h"
#include "runtime/session.h"

namespace qvl {
namespace {

class ModelBench {
 public:
  explicit ModelBench(const ModelBenchOptions& options) : options_(options), folder_(options.folder) {
    check_runs(options.runs);
  }

  [[nodiscard]] const ModelFolder& folder() const noexcept { return folder_; }
  [[nodiscard]] const Session& session() const noexcept { return *session_; }
  [[nodiscard]] const CancelToken* cancel() const noexcept { return options_.runs.cancel; }

  void load(const std::string& artifact) {
    result_.artifact = artifact;
    result_.file = folder_.artifact(artifact);
    for (const std::string& file : {result_.file.string(), data_file_name(result_.file.string())}) {
      std::error_code error;
      const std::uintmax_t bytes = std::filesystem::file_size(file, error);
      result_.file_bytes += error ? 0 : bytes;
    }
    result_.runtime_version = runtime_version();
    result_.provider =
        options_.session.provider == Provider::cpu ? "CPUExecutionProvider" : "CUDAExecutionProvider";
    const int processors = static_cast<int>(processor_count());
    const int threads = options_.session.threads;
    result_.threads = threads > 0 ? std::min(threads, processors) : processors;
    result_.limits.before = limits();
    if (Progress* progress = options_.runs.progress; progress != nullptr) progress->begin("load", 0);
    MemoryWatch watch;
    result_.load_seconds = seconds_of([&] { session_.emplace(result_.file, options_.session); });
    result_.after_load = memory_use();
    result_.load_most = watch.stop();
    if (options_.runs.progress != nullptr) options_.runs.progress->end();
  }

  // `output` is what the model gives; nothing else is computed.
  void measure(const std::string& stage, const std::vector<NamedTensor>& named, const std::string& output,
               ModelRow row) {
    MemoryWatch watch;
    row.seconds =
        time_runs(options_.runs, stage, [&] { (void)session_->run(named, {output}, options_.runs.cancel); });
    row.most = watch.stop();
    result_.rows.push_back(std::move(row));
  }

  [[nodiscard]] ModelBenchResult finish() {
    session_.reset();
    result_.limits.after = limits();
    return std::move(result_);
  }

  // The port of this name, or an InputError that says what was expected.
  [[nodiscard]] const TensorInfo& port(const std::vector<TensorInfo>& ports, const std::string& name,
                                       std::size_t rank) const {
    const auto found = std::ranges::find(ports, name, &TensorInfo::name);
    if (found == ports.end() || found->dims.size() != rank) {
      throw InputError(fmt::format("{} is no {} artifact: {} with {} dimensions is expected",
                                   result_.file.string(), result_.artifact, name, rank));
    }
    return *found;
  }

 private:
  [[nodiscard]] MachineLimits limits() const {
    return measure_limits({.seconds = options_.limits_seconds,
                           .memory = true,
                           .arithmetic = true,
                           .progress = options_.runs.progress,
                           .cancel = options_.runs.cancel});
  }

  const ModelBenchOptions& options_;
  ModelFolder folder_;
  std::optional<Session> session_;
  ModelBenchResult result_;
};

// Colours that change from pixel to pixel, the same on every machine.
RgbImage made_picture(PixelSize size) {
  RgbImage picture(size);
  std::uint32_t state = 1;
  for (std::uint8_t& value : picture.pixels()) {
    state = state * 1664525U + 1013904223U;  // Numerical Recipes' generator
    value = static_cast<std::uint8_t>(state >> 24U);
  }
  return picture;
}

// Ordinary tokens from all over the vocabulary.
TokenIds made_ids(const ModelFacts& facts, std::int64_t tokens) {
  constexpr std::int64_t kStep = 7919;
  const auto& special = facts.special_token_ids;
  TokenIds ids(static_cast<std::size_t>(tokens));
  std::int64_t i = 0;
  for (std::int64_t& id : ids) {
    id = i++ * kStep % facts.vocab_size;
    for (std::size_t tries = 0; tries < special.size() && std::ranges::find(special, id) != special.end();
         ++tries) {
      id = (id + 1) % facts.vocab_size;
    }
  }
  return ids;
}

DecoderInputs text_inputs(const ModelBench& bench, std::int64_t tokens) {
  const ModelFacts& facts = bench.folder().model().facts();
  const std::vector<TensorInfo>& inputs = bench.session().inputs();
  DecoderPorts ports{bench.port(inputs, "attention_mask", 2).dtype, std::nullopt};
  if (std::ranges::find(inputs, "image_embeds", &TensorInfo::name) != inputs.end())
    ports.embeds = bench.port(inputs, "image_embeds", 3).dtype;
  return DecoderInputs::of(TokenBatch::of_row(made_ids(facts, tokens)), {}, ports, facts);
}

// The picture that the artifact takes.
PixelSize picture_size(const TensorInfo& pixels, const std::string& file) {
  constexpr std::int64_t kLongestSide = 100'000;
  const PixelSize size{pixels.dims[2].size, pixels.dims[3].size};
  for (const std::int64_t side : {size.height, size.width}) {
    if (side >= 1 && side <= kLongestSide && size.height * size.width <= 2000 * kLongestSide) continue;
    throw InputError(fmt::format("{}: {}; a fixed size of picture is expected", file, to_string(pixels)));
  }
  return size;
}

void check_tokens(const std::vector<std::int64_t>& tokens, std::int64_t most) {
  if (tokens.empty()) throw UsageError("no length of a sequence is given; 1,32,600 are usual");
  for (const std::int64_t count : tokens) {
    if (count >= 1 && count <= most) continue;
    throw UsageError(fmt::format("a sequence of {} tokens; the model takes 1 to {}", count, most));
  }
}

}  // namespace

bool ModelRow::bound_by_arithmetic(const MachineLimits& limits) const {
  return share_of(flop_per_second(), limits.f32_flop) >=
         share_of(weight_bytes_per_second(), limits.memory_read_bytes);
}

ModelBenchResult bench_vision(const ModelBenchOptions& options) {
  ModelBench bench(options);
  const ModelFolder& folder = bench.folder();
  bench.load("vision");
  const TensorInfo& pixels = bench.port(bench.session().inputs(), "pixel_values", 4);
  const PixelSize size = picture_size(pixels, bench.session().path().string());
  const Model& model = folder.model();
  ModelRow row;
  row.work = model.vision_work(size);
  row.tokens = model.facts().picture_tokens(size);
  const Tensor input = fixed_size_pixels(made_picture(size), size, folder.preprocessor());
  bench.measure("vision", {{"pixel_values", input.view()}}, "vision_features", std::move(row));
  return bench.finish();
}

ModelBenchResult bench_text(const ModelBenchOptions& options) {
  ModelBench bench(options);
  const Model& model = bench.folder().model();
  check_tokens(options.tokens, model.facts().max_position_embeddings);
  std::string artifact = options.artifact;
  if (artifact.empty()) artifact = bench.folder().has("text") ? "text" : "text_with_image";
  if (artifact != "text" && artifact != "text_with_image") {
    throw UsageError(fmt::format("artifact {}; text and text_with_image can be had", artifact));
  }
  bench.load(artifact);
  const DType dtype = bench.port(bench.session().outputs(), "logits", 3).dtype;
  for (const std::int64_t tokens : options.tokens) {
    ModelRow row;
    row.tokens = tokens;
    row.work = model.text_work(tokens, dtype);
    const DecoderInputs inputs = text_inputs(bench, tokens);
    bench.measure(fmt::format("{} tokens", tokens), inputs.named(), "logits", std::move(row));
  }
  return bench.finish();
}

}  // namespace qvl
