#include "verify/text_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/session_defaults.h"

namespace qvl {
namespace {

std::string probe_of(const SubjectArtifact& artifact, std::span<const std::string> values) {
  return artifact.probe->with_outputs(values);
}

}  // namespace

TextRunner::TextRunner(const Subject& subject, const SubjectArtifact& artifact, const SessionOptions& options)
    : TextRunner(subject, artifact, options, {}) {}

TextRunner::TextRunner(const Subject& subject, const SubjectArtifact& artifact, const SessionOptions& options,
                       std::span<const std::string> values)
    : cancel_(subject.options.cancel),
      session_(values.empty() ? Session(subject.place(artifact.manifest.file), options)
                              : Session::from_bytes(probe_of(artifact, values),
                                                    subject.place(artifact.manifest.file), options)),
      ports_{artifact.mask_dtype,
             artifact.kind.takes_pictures ? std::optional(artifact.dtype) : std::nullopt},
      facts_(subject.configs->model->facts()) {}

std::vector<OutputTensor> TextRunner::run(const TokenBatch& batch, std::span<const float> features,
                                          const std::vector<std::string>& outputs) const {
  std::vector<TensorView> views;
  if (!features.empty()) {
    const auto count = static_cast<std::int64_t>(features.size());
    const std::int64_t rows = count / facts_.hidden_size;
    if (count % facts_.hidden_size != 0) {
      throw InputError(
          fmt::format("{} numbers of picture features; rows of {} are expected", count, facts_.hidden_size));
    }
    views.push_back({DType::f32, {rows, facts_.hidden_size}, std::as_bytes(features)});
  }
  return session_.run(DecoderInputs::of(batch, views, ports_, facts_).named(), outputs, cancel_);
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
  const ModelFacts& facts = configs.model->facts();
  const auto vocab = std::min(static_cast<std::int64_t>(configs.tokenizer.vocab_size()), facts.vocab_size);
  const auto& special = facts.special_token_ids;
  const auto is_plain = [&](std::int64_t id) {
    return !configs.tokenizer.is_special(id) && std::ranges::find(special, id) == special.end() &&
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
