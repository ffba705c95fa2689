// The sets of artifacts, which are the same for all families.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "models/tensor_table.h"

namespace qvl {

// The default: three artifacts whose names, inputs and outputs are fixed (README.md).
inline constexpr std::string_view kReferenceSet = "reference";
inline constexpr std::string_view kVisionArtifact = "vision";
inline constexpr std::string_view kTextArtifact = "text";
inline constexpr std::string_view kTextWithImageArtifact = "text_with_image";

// One artifact of a set.
struct ArtifactKind {
  std::string_view name;
  bool encodes_pictures = false;  // takes the vision encoder's tensors, else the text decoder's
  bool takes_pictures = false;    // made for pictures of one size

  // Which tensors of the checkpoint it takes.
  [[nodiscard]] constexpr TensorPart part() const noexcept {
    return encodes_pictures ? TensorPart::vision : TensorPart::text;
  }

  friend bool operator==(const ArtifactKind&, const ArtifactKind&) = default;
};

// In the order in which they are written and listed. Throws UsageError for a set that is not there.
[[nodiscard]] std::span<const ArtifactKind> artifacts_of(std::string_view set);
// Null where the set has no artifact of this name.
[[nodiscard]] const ArtifactKind* find_artifact(std::string_view set, std::string_view name);
// Place of an artifact in its set, for sorting; what is not there comes last.
[[nodiscard]] std::size_t rank_of(std::string_view set, std::string_view name);

}  // namespace qvl
