#include "models/artifact_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::array kReference{ArtifactKind{kVisionArtifact, true, true},
                                ArtifactKind{kTextArtifact, false, false},
                                ArtifactKind{kTextWithImageArtifact, false, true}};

}  // namespace

std::span<const ArtifactKind> artifacts_of(std::string_view set) {
  if (set == kReferenceSet) return kReference;
  throw UsageError(fmt::format("there is no set {}; {} can be had", set, kReferenceSet));
}

const ArtifactKind* find_artifact(std::string_view set, std::string_view name) {
  const auto kinds = artifacts_of(set);
  const auto found = std::ranges::find(kinds, name, &ArtifactKind::name);
  return found == kinds.end() ? nullptr : &*found;
}

std::size_t rank_of(std::string_view set, std::string_view name) {
  const auto kinds = artifacts_of(set);
  return static_cast<std::size_t>(std::ranges::find(kinds, name, &ArtifactKind::name) - kinds.begin());
}

}  // namespace qvl
