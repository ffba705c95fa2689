// What a text artifact is given in a run, and what it gives back.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "models/decoder_inputs.h"
#include "runtime/session.h"
#include "verify/subject.h"

namespace qvl {

// A session of a text artifact.
class TextRunner {
 public:
  // As the engine opens it. Throws as Session does.
  TextRunner(const Subject& subject, const SubjectArtifact& artifact, const SessionOptions& options);
  // Of a copy of the graph that gives out these values, too.
  TextRunner(const Subject& subject, const SubjectArtifact& artifact, const SessionOptions& options,
             std::span<const std::string> values);

  // Outputs by name. `features` are f32 rows [n, hidden] that are laid at the unpadded image tokens, one
  // after the other; without pictures they are empty. Throws InputError when there are fewer or more than
  // image tokens.
  [[nodiscard]] std::vector<OutputTensor> run(const TokenBatch& batch, std::span<const float> features,
                                              const std::vector<std::string>& outputs) const;

 private:
  const CancelToken* cancel_;
  Session session_;
  DecoderPorts ports_;
  ModelFacts facts_;
};

// Throws UsageError when there is no such provider.
[[nodiscard]] Provider provider_of(const VerifyOptions& options);

// The engine's options for the provider and threads asked for, and for the folder's largest weights.
[[nodiscard]] SessionOptions session_options_of(const Subject& subject);

// `count` ids of ordinary tokens (not added ones, no pictures), the same at every call with the same seed.
// Throws InputError when the tokenizer has none.
[[nodiscard]] TokenIds plain_ids(const FolderConfigs& configs, std::size_t count, std::uint32_t seed);

}  // namespace qvl
