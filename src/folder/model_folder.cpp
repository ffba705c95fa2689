#include "folder/model_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/lfs_pointer.h"
#include "models/family.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

void require_files(const fs::path& folder, const Manifest& manifest) {
  for (const ManifestArtifact& artifact : manifest.artifacts) {
    for (const std::string& name : {artifact.data_file, artifact.file}) {
      const fs::path file = folder / name;
      if (!fs::is_regular_file(file)) {
        throw InputError(fmt::format("{} is missing; manifest.json lists it: export again", file.string()));
      }
      refuse_lfs_pointer(file);
    }
  }
}

}  // namespace

ModelFolder::ModelFolder(fs::path folder) : folder_(std::move(folder)), manifest_(read_manifest(folder_)) {
  require_files(folder_, manifest_);
  model_ = read_model(folder_ / "config.json");
  generation_ = read_generation_config(folder_);
  preprocessor_ = read_preprocessor_config(folder_);
  model_->require_same_pictures(preprocessor_, folder_.string());
}

const ManifestArtifact* ModelFolder::find(std::string_view name) const noexcept {
  const auto found = std::ranges::find(manifest_.artifacts, name, &ManifestArtifact::artifact);
  return found == manifest_.artifacts.end() ? nullptr : &*found;
}

const ManifestArtifact& ModelFolder::at(std::string_view name) const {
  if (const ManifestArtifact* const found = find(name)) return *found;
  throw InputError(fmt::format("{} has no {} artifact; `qvl export CHECKPOINT --out {} --only {}` adds it",
                               folder_.string(), name, folder_.string(), name));
}

fs::path ModelFolder::artifact(std::string_view name) const { return folder_ / at(name).file; }

bool ModelFolder::has(std::string_view name) const noexcept { return find(name) != nullptr; }

std::uint64_t ModelFolder::f32_weights_bytes(std::string_view name) const {
  const ManifestArtifact& artifact = at(name);
  // Of the artifacts with f16 weights the outputs are f16, too.
  const bool is_half = !artifact.outputs.empty() && artifact.outputs.front().dtype == "F16";
  return (is_half ? 2 : 1) * fs::file_size(folder_ / artifact.data_file) + artifact.unpacked_bytes;
}

PixelSize ModelFolder::picture_size() const {
  const ManifestArtifact& vision = at(kVisionArtifact);
  const ManifestArtifact& text = at(kTextWithImageArtifact);
  const PixelSize size{vision.image_height_pixels, vision.image_width_pixels};
  if (size != PixelSize{text.image_height_pixels, text.image_width_pixels}) {
    throw InputError(
        fmt::format("{}: the vision and text_with_image artifacts are not for one picture size; export "
                    "both with the same --image-size",
                    (folder_ / kManifestName).string()));
  }
  return size;
}

}  // namespace qvl
