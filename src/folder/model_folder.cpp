#include "folder/model_folder.h"

#include <fmt/format.h>

#include "core/json_text.h"
#include "core/lfs_pointer.h"
#include "folder/manifest_format.h"
#include "models/qwen25vl/picture_input.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// A file name inside the folder, nothing that leads out of it.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
}

}  // namespace

ModelFolder::ModelFolder(fs::path folder) : folder_(std::move(folder)) {
  read_manifest();
  config_ = read_model_config(folder_ / "config.json");
  generation_ = read_generation_config(folder_);
  preprocessor_ = read_preprocessor_config(folder_);
  require_same_patches(preprocessor_, config_.vision, folder_.string());
}

void ModelFolder::read_manifest() {
  const fs::path path = folder_ / "manifest.json";
  if (!fs::is_regular_file(path)) {
    throw InputError(fmt::format("{} has no manifest.json; a folder written by `qvl export` is expected",
                                 folder_.string()));
  }
  const Json manifest = read_json_file(path);
  try {
    if (manifest.at("format") != kManifestFormat && manifest.at("format") != kQuantizedManifestFormat) {
      throw InputError(
          fmt::format("{} has the format {}; this version of qvl reads {}: export the checkpoint again",
                      path.string(), manifest.at("format").dump(), kManifestFormat));
    }
    for (const Json& artifact : manifest.at("artifacts")) {
      Entry entry{artifact.at("artifact").get<std::string>(), {}, 0, std::nullopt};
      for (const char* key : {"data_file", "file"}) {
        const auto name = artifact.at(key).get<std::string>();
        if (!is_plain_name(name)) {
          throw InputError(
              fmt::format("{}: {} \"{}\" is not the name of a file in the folder", path.string(), key, name));
        }
        entry.file = folder_ / name;
        if (!fs::is_regular_file(entry.file)) {
          throw InputError(
              fmt::format("{} is missing; manifest.json lists it: export again", entry.file.string()));
        }
        refuse_lfs_pointer(entry.file);
      }
      // Of the artifacts with f16 weights the outputs are f16, too.
      const std::uint64_t wider = artifact.at("outputs").at(0).at("dtype") == "F16" ? 2 : 1;
      entry.f32_weights_bytes = wider * fs::file_size(folder_ / artifact.at("data_file").get<std::string>());
      entry.f32_weights_bytes += artifact.value("unpacked_bytes", std::uint64_t{0});
      if (artifact.contains("image_size")) {
        const Json& size = artifact["image_size"];
        entry.picture_size =
            PixelSize{size.at("height").get<std::int64_t>(), size.at("width").get<std::int64_t>()};
      }
      entries_.push_back(std::move(entry));
    }
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("{} is not a manifest of qvl: {}", path.string(), error.what()));
  }
}

const ModelFolder::Entry& ModelFolder::entry(const std::string& name) const {
  for (const Entry& e : entries_) {
    if (e.name == name) return e;
  }
  throw InputError(fmt::format("{} has no {} artifact; `qvl export CHECKPOINT --out {} --only {}` adds it",
                               folder_.string(), name, folder_.string(), name));
}

const fs::path& ModelFolder::artifact(const std::string& name) const { return entry(name).file; }

std::uint64_t ModelFolder::f32_weights_bytes(const std::string& name) const {
  return entry(name).f32_weights_bytes;
}

bool ModelFolder::has(const std::string& name) const noexcept {
  for (const Entry& e : entries_) {
    if (e.name == name) return true;
  }
  return false;
}

PixelSize ModelFolder::picture_size() const {
  const auto& vision = entry("vision").picture_size;
  const auto& text = entry("text_with_image").picture_size;
  if (!vision || !text || *vision != *text || vision->height <= 0 || vision->width <= 0 ||
      vision->height > 100'000 || vision->width > 100'000) {
    throw InputError(
        fmt::format("{}: the vision and text_with_image artifacts are not for one picture size; export "
                    "both with the same --image-size",
                    (folder_ / "manifest.json").string()));
  }
  return *vision;
}

}  // namespace qvl
