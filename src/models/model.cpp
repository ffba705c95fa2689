#include "models/model.h"

#include <fmt/format.h>

#include "qvl/error.h"

namespace qvl {

ArtifactSpec spec_of(const Model& model, std::string_view set, std::string_view name,
                     const ArtifactOptions& options) {
  std::string names;
  for (ArtifactSpec& spec : model.artifacts(set, options)) {
    if (spec.kind.name == name) return std::move(spec);
    names += fmt::format("{}{}", names.empty() ? "" : ", ", spec.kind.name);
  }
  throw UsageError(fmt::format("there is no artifact {}; {} can be had", name, names));
}

}  // namespace qvl
