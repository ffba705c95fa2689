// What a text artifact is given in a run, and what it gives back.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "runtime/session.h"
#include "verify/subject.h"

namespace qvl {

using TokenIds = std::vector<std::int64_t>;

enum class PaddingSide { left, right };

// Rows of one length.
struct TextBatch {
  Tensor ids;   // i64 [batch, seq]
  Tensor mask;  // i64 [batch, seq], 1 at tokens

  // Shorter rows are filled up with `padding`, which the mask hides.
  [[nodiscard]] static TextBatch of(std::span<const TokenIds> rows, PaddingSide side, std::int64_t padding);

  [[nodiscard]] std::int64_t batch() const { return ids.shape()[0]; }
  [[nodiscard]] std::int64_t length() const { return ids.shape()[1]; }
  // Places in [0, batch x seq) of the tokens of one row, or of all.
  [[nodiscard]] std::vector<std::int64_t> tokens_of(std::int64_t row) const;
  [[nodiscard]] std::vector<std::int64_t> tokens() const;
};

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
  [[nodiscard]] std::vector<OutputTensor> run(const TextBatch& batch, std::span<const float> features,
                                              const std::vector<std::string>& outputs) const;

 private:
  [[nodiscard]] Tensor mask_of(const TextBatch& batch) const;
  [[nodiscard]] Tensor embeds_of(const TextBatch& batch, std::span<const float> features) const;

  const CancelToken* cancel_;
  Session session_;
  DType dtype_;
  DType mask_dtype_;
  bool takes_pictures_;
  std::int64_t hidden_;
  std::int64_t image_token_;
};

// Throws UsageError when there is no such provider.
[[nodiscard]] Provider provider_of(const VerifyOptions& options);

// The engine's options for the provider and threads asked for, and for the folder's largest weights.
[[nodiscard]] SessionOptions session_options_of(const Subject& subject);

// `count` ids of ordinary tokens (not added ones, no pictures), the same at every call with the same seed.
// Throws InputError when the tokenizer has none.
[[nodiscard]] TokenIds plain_ids(const FolderConfigs& configs, std::size_t count, std::uint32_t seed);

}  // namespace qvl
