#include "verify/subject.h"

#include <algorithm>

namespace qvl {

Subject open_subject(const VerifyOptions& options) {
  Subject subject{options, read_manifest(options.folder), {}, {}, {}};
  if (!options.checkpoint.empty()) subject.checkpoint = ModelCheckpoint::open(options.checkpoint);
  for (const ManifestArtifact& a : subject.manifest.artifacts) {
    subject.artifacts.emplace_back();
    subject.artifacts.back().manifest = a;
    subject.artifacts.back().kind = *find_artifact(subject.manifest.set, a.artifact);
  }
  std::ranges::sort(subject.artifacts, {}, [&](const SubjectArtifact& a) {
    return rank_of(subject.manifest.set, a.manifest.artifact);
  });
  return subject;
}

}  // namespace qvl
