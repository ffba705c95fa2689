#include "verify/subject.h"

#include <algorithm>

namespace qvl {

Subject open_subject(const VerifyOptions& options) {
  Subject subject{options, read_manifest(options.folder), {}, {}, {}};
  if (!options.checkpoint.empty()) subject.checkpoint = Checkpoint::open(options.checkpoint);
  for (const ManifestArtifact& a : subject.manifest.artifacts) {
    subject.artifacts.emplace_back();
    subject.artifacts.back().manifest = a;
  }
  std::ranges::sort(subject.artifacts, {}, [](const SubjectArtifact& a) { return a.manifest.artifact; });
  return subject;
}

}  // namespace qvl
