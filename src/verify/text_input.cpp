#include "verify/text_input.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/convert.h"
#include "engine/session_defaults.h"

namespace qvl {
namespace {

std::string probe_of(const SubjectArtifact& artifact, std::span<const std::string> values) {
  return artifact.probe->with_outputs(values);
}

}  // namespace

TextBatch TextBatch::of(std::span<const TokenIds> rows, PaddingSide side, std::int64_t padding) {
  std::size_t length = 0;
  for (const TokenIds& row : rows) length = std::max(length, row.size());
  const Shape shape{static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(length)};
  TextBatch batch{Tensor(DType::i64, shape), Tensor(DType::i64, shape)};
  std::ranges::fill(batch.ids.as<std::int64_t>(), padding);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::size_t begin = r * length + (side == PaddingSide::left ? length - rows[r].size() : 0);
    std::ranges::copy(rows[r], batch.ids.as<std::int64_t>().begin() + static_cast<std::ptrdiff_t>(begin));
    std::fill_n(batch.mask.as<std::int64_t>().begin() + static_cast<std::ptrdiff_t>(begin), rows[r].size(),
                1);
  }
  return batch;
}

std::vector<std::int64_t> TextBatch::tokens_of(std::int64_t row) const {
  std::vector<std::int64_t> places;
  for (std::int64_t i = row * length(); i < (row + 1) * length(); ++i) {
    if (mask.as<std::int64_t>()[static_cast<std::size_t>(i)] != 0) places.push_back(i);
  }
  return places;
}

std::vector<std::int64_t> TextBatch::tokens() const {
  std::vector<std::int64_t> places;
  for (std::int64_t row = 0; row < batch(); ++row) {
    const std::vector<std::int64_t> more = tokens_of(row);
    places.insert(places.end(), more.begin(), more.end());
  }
  return places;
}

TextRunner::TextRunner(const Subject& subject, const SubjectArtifact& artifact, const SessionOptions& options)
    : TextRunner(subject, artifact, options, {}) {}

TextRunner::TextRunner(const Subject& subject, const SubjectArtifact& artifact, const SessionOptions& options,
                       std::span<const std::string> values)
    : cancel_(subject.options.cancel),
      session_(values.empty() ? Session(subject.place(artifact.manifest.file), options)
                              : Session::from_bytes(probe_of(artifact, values),
                                                    subject.place(artifact.manifest.file), options)),
      dtype_(artifact.dtype),
      mask_dtype_(artifact.mask_dtype),
      takes_pictures_(artifact.manifest.artifact == Artifact::text_with_image),
      hidden_(subject.configs->model.text.hidden_size),
      image_token_(subject.configs->model.image_token_id) {}

Tensor TextRunner::mask_of(const TextBatch& batch) const {
  if (mask_dtype_ == DType::i64) return batch.mask;
  Tensor mask(mask_dtype_, batch.mask.shape());
  std::ranges::transform(batch.mask.as<std::int64_t>(), mask.as<std::uint8_t>().begin(),
                         [](std::int64_t x) { return static_cast<std::uint8_t>(x != 0 ? 1 : 0); });
  return mask;
}

Tensor TextRunner::embeds_of(const TextBatch& batch, std::span<const float> features) const {
  Tensor embeds(dtype_, {batch.batch(), batch.length(), hidden_});
  const auto width = static_cast<std::size_t>(hidden_);
  const std::size_t row_bytes = width * size_bytes(dtype_);
  const std::span<const std::int64_t> ids = batch.ids.as<std::int64_t>();
  std::size_t used = 0;
  for (const std::int64_t place : batch.tokens()) {
    if (ids[static_cast<std::size_t>(place)] != image_token_ || features.empty()) continue;
    if (used + width > features.size())
      throw InputError("there are more image tokens than rows of image features");
    convert(DType::f32, std::as_bytes(features.subspan(used, width)), dtype_,
            embeds.bytes().subspan(static_cast<std::size_t>(place) * row_bytes, row_bytes));
    used += width;
  }
  if (used != features.size()) throw InputError("there are more rows of image features than image tokens");
  return embeds;
}

std::vector<OutputTensor> TextRunner::run(const TextBatch& batch, std::span<const float> features,
                                          const std::vector<std::string>& outputs) const {
  const Tensor mask = mask_of(batch);
  std::vector<NamedTensor> inputs{{"input_ids", batch.ids.view()}, {"attention_mask", mask.view()}};
  if (!takes_pictures_) return session_.run(inputs, outputs, cancel_);
  const Tensor embeds = embeds_of(batch, features);
  inputs.push_back({"image_embeds", embeds.view()});
  return session_.run(inputs, outputs, cancel_);
}

Provider provider_of(const VerifyOptions& options) {
  const auto provider = provider_from_name(options.provider);
  if (!provider) throw UsageError(fmt::format("provider \"{}\"; cpu or cuda can be had", options.provider));
  return *provider;
}

SessionOptions session_options_of(const Subject& subject) {
  const VerifyOptions& options = subject.options;
  std::uint64_t largest_bytes = 0;  // in f32
  for (const SubjectArtifact& a : subject.artifacts)
    largest_bytes = std::max(largest_bytes, a.manifest.data_bytes / size_bytes(a.dtype) * sizeof(float));
  return engine_session_options(provider_of(options), options.threads, weights_that_fit(largest_bytes));
}

TokenIds plain_ids(const FolderConfigs& configs, std::size_t count, std::uint32_t seed) {
  const ModelConfig& model = configs.model;
  const auto vocab =
      std::min(static_cast<std::int64_t>(configs.tokenizer.vocab_size()), model.text.vocab_size);
  const auto is_plain = [&](std::int64_t id) {
    return !configs.tokenizer.is_special(id) && id != model.image_token_id && id != model.video_token_id &&
           !configs.tokenizer.token_bytes(id).empty();
  };
  TokenIds ids;
  std::uint32_t state = seed;
  for (std::size_t tries = 0; ids.size() < count && vocab > 0 && tries < 1000 * (count + 1); ++tries) {
    state = state * 1664525U + 1013904223U;  // a linear congruential generator (Numerical Recipes)
    const std::int64_t id = static_cast<std::int64_t>(state >> 8U) % vocab;
    if (is_plain(id)) ids.push_back(id);
  }
  if (ids.size() < count) throw InputError("the tokenizer has hardly any ordinary tokens");
  return ids;
}

}  // namespace qvl
