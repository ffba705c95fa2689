// manifest.json of a model folder: what is in it, where it came from, and what the conversion cost.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "exporter/weight_stream.h"
#include "qvl/export.h"

namespace qvl {

struct ManifestPort {
  std::string name;
  std::string dtype;
  std::vector<std::string> shape;
};

struct ManifestArtifact {
  Artifact artifact = Artifact::vision;
  std::string file;
  std::string data_file;
  std::string file_sha256;
  std::string data_sha256;
  std::uint64_t file_bytes = 0;
  std::uint64_t data_bytes = 0;
  std::int64_t opset = 0;
  std::vector<ManifestPort> inputs;
  std::vector<ManifestPort> outputs;
  // Pixels of the picture that vision takes, or whose image tokens text_with_image expects.
  std::int64_t image_width_pixels = 0;
  std::int64_t image_height_pixels = 0;
  std::vector<TensorReport> tensors;
};

struct Manifest {
  std::string checkpoint;  // the folder's name
  std::string stem;
  std::vector<ManifestArtifact> artifacts;
};

// The JSON text. Artifacts that `existing` (the text of the manifest that is there, "" when none) lists and
// `manifest` does not make anew are kept when they belong to the same stem and `folder` still holds their
// files.
[[nodiscard]] std::string manifest_json(const Manifest& manifest, const std::string& existing,
                                        const std::filesystem::path& folder);

}  // namespace qvl
