#include "folder/manifest.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/json_text.h"
#include "core/sha256.h"
#include "core/text_file.h"
#include "folder/artifact_names.h"
#include "qvl/error.h"
#include "qvl/version.h"

namespace qvl {
namespace {

using OrderedJson = nlohmann::ordered_json;

const char* transform_name(Transform transform) {
  switch (transform) {
    case Transform::none:
      return "none";
    case Transform::transpose:
      return "transpose";
    case Transform::flatten_transpose:
      return "flatten_transpose";
  }
  return "?";
}

OrderedJson port_json(const ManifestPort& port) {
  return {{"name", port.name}, {"dtype", port.dtype}, {"shape", port.shape}};
}

OrderedJson tensor_json(const TensorReport& t) {
  OrderedJson json{{"name", t.name},
                   {"shape", t.shape},
                   {"dtype", name(t.dtype)},
                   {"offset", t.offset_bytes},
                   {"bytes", t.size_bytes}};
  if (t.quantization) {
    const TensorQuantization& q = *t.quantization;
    OrderedJson quantization{{"role", q.role}, {"format", q.format}, {"algorithm", q.algorithm}};
    if (q.role == "levels") {
      quantization["relative_error"] = q.relative_error;
      quantization["max_abs_error"] = q.max_abs_error;
    }
    json["quantization"] = std::move(quantization);
  }
  if (t.source.empty()) {
    json["source"] = "computed";
    return json;
  }
  json["source"] = t.source;
  json["source_dtype"] = name(t.source_dtype);
  json["transform"] = transform_name(t.transform);
  json["overflowed"] = t.stats.overflowed;
  json["subnormal"] = t.stats.subnormal;
  json["not_finite"] = t.stats.not_finite;
  json["max_abs_error"] = t.stats.max_abs_error;
  return json;
}

OrderedJson artifact_json(const ManifestArtifact& a, const ArtifactKind& kind) {
  OrderedJson json{{"artifact", a.artifact},
                   {"file", a.file},
                   {"data_file", a.data_file},
                   {"sha256", {{a.file, a.file_sha256}, {a.data_file, a.data_sha256}}},
                   {"bytes", {{a.file, a.file_bytes}, {a.data_file, a.data_bytes}}},
                   {"opset", a.opset}};
  if (kind.takes_pictures) {
    json["image_size"] = {{"width", a.image_width_pixels}, {"height", a.image_height_pixels}};
  }
  if (!kind.encodes_pictures) json["tied_head"] = a.tied_head == TiedHead::shared;
  if (a.unpacked_bytes != 0) json["unpacked_bytes"] = a.unpacked_bytes;
  for (const ManifestPort& port : a.inputs) json["inputs"].push_back(port_json(port));
  for (const ManifestPort& port : a.outputs) json["outputs"].push_back(port_json(port));
  for (const TensorReport& t : a.tensors) json["tensors"].push_back(tensor_json(t));
  return json;
}

OrderedJson manifest_json(const Manifest& manifest) {
  OrderedJson json{{"format", manifest.plan.empty() ? kManifestFormat : kQuantizedManifestFormat},
                   {"qvl", QVL_VERSION},
                   {"set", manifest.set},
                   {"checkpoint", manifest.checkpoint},
                   {"fingerprint", manifest.fingerprint},
                   {"stem", manifest.stem}};
  if (!manifest.plan.empty()) json["plan"] = OrderedJson::parse(manifest.plan);
  if (manifest.files) {
    json["files"] = OrderedJson::array();
    for (const ManifestFile& f : *manifest.files)
      json["files"].push_back({{"file", f.name}, {"bytes", f.bytes}, {"sha256", f.sha256}});
  }
  json["artifacts"] = OrderedJson::array();
  for (const ManifestArtifact& a : manifest.artifacts)
    json["artifacts"].push_back(artifact_json(a, *find_artifact(manifest.set, a.artifact)));
  return json;
}

// A file name that an export writes, and nothing that leads out of the folder.
bool is_artifact_file(const std::string& name) {
  return name.find('/') == std::string::npos && !name.starts_with('.') &&
         (name.ends_with(".onnx") || name.ends_with(".onnx_data"));
}

std::string text_of(const OrderedJson& json, const char* key) {
  return json.is_object() && json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
}

}  // namespace

Manifest with_longest_statistics(Manifest manifest) {
  constexpr double kLongest = 2.2250738585072014e-308;
  for (ManifestArtifact& a : manifest.artifacts) {
    for (TensorReport& t : a.tensors) {
      // Those of a quantized weight count the elements that it had.
      const auto count = t.quantization ? std::numeric_limits<std::uint64_t>::max()
                                        : static_cast<std::uint64_t>(*element_count(t.shape));
      t.stats = {count, count, count, kLongest};
      if (t.quantization) t.quantization->relative_error = t.quantization->max_abs_error = kLongest;
    }
  }
  return manifest;
}

std::vector<ManifestFile> describe_files(const std::filesystem::path& folder,
                                         std::span<const std::string> names) {
  std::vector<ManifestFile> files;
  for (const std::string& name : names) {
    const std::filesystem::path place = folder / name;
    const std::string sha256 = sha256_of_file(place);  // says what is wrong where it cannot be read
    files.push_back({name, std::filesystem::file_size(place), sha256});
  }
  return files;
}

std::string tensor_json_text(const TensorReport& tensor) {
  return tensor_json(tensor).dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::string manifest_text(const Manifest& manifest) {
  return manifest_json(manifest).dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

struct ExistingManifest::State {
  std::filesystem::path folder;
  bool exists = false;
  OrderedJson json;

  // Artifacts that stay beside those that `manifest` makes.
  [[nodiscard]] std::vector<OrderedJson> kept(const Manifest& manifest) const {
    std::vector<OrderedJson> result;
    if (text_of(json, "fingerprint") != manifest.fingerprint || !json.contains("artifacts")) return result;
    std::set<std::string> made;
    for (const ManifestArtifact& a : manifest.artifacts) made.insert(a.artifact);
    for (const OrderedJson& a : json["artifacts"]) {
      const auto there = [&](const char* key) {
        const std::string file = text_of(a, key);
        return is_artifact_file(file) && std::filesystem::is_regular_file(folder / file);
      };
      if (!made.contains(text_of(a, "artifact")) && there("file") && there("data_file")) result.push_back(a);
    }
    return result;
  }
};

ExistingManifest::ExistingManifest(const std::filesystem::path& folder) : state_(std::make_unique<State>()) {
  state_->folder = folder;
  if (folder.empty()) return;
  std::error_code error;
  const std::filesystem::path path = folder / kManifestName;
  if (!std::filesystem::is_regular_file(path, error)) return;
  state_->exists = true;
  try {
    state_->json = OrderedJson::parse(read_text_file(path), nullptr, /*allow_exceptions=*/false);
  } catch (const InputError&) {
    state_->json = nullptr;  // not readable, not ours
  }
}

ExistingManifest::~ExistingManifest() = default;

bool ExistingManifest::exists() const noexcept { return state_->exists; }

bool ExistingManifest::is_qvl() const noexcept {
  const OrderedJson& json = state_->json;
  return json.is_object() && json.contains("format") && json["format"] == kManifestFormat &&
         json.contains("artifacts") && json["artifacts"].is_array();
}

std::string ExistingManifest::fingerprint() const {
  return is_qvl() ? text_of(state_->json, "fingerprint") : "";
}

std::string ExistingManifest::checkpoint() const {
  return is_qvl() ? text_of(state_->json, "checkpoint") : "";
}

std::vector<std::string> ExistingManifest::files_of(std::string_view artifact) const {
  std::vector<std::string> files;
  if (!is_qvl()) return files;
  for (const OrderedJson& a : state_->json["artifacts"]) {
    if (text_of(a, "artifact") != artifact) continue;
    for (const char* key : {"file", "data_file"}) {
      if (is_artifact_file(text_of(a, key))) files.push_back(text_of(a, key));
    }
  }
  return files;
}

std::string ExistingManifest::merged_into(const Manifest& manifest) const {
  std::string text = json_text(manifest);
  text.resize(json_text(with_longest_statistics(manifest)).size(), ' ');
  return text + "\n";
}

std::string ExistingManifest::json_text(const Manifest& manifest) const {
  OrderedJson json = manifest_json(manifest);
  if (is_qvl()) {
    for (OrderedJson& a : state_->kept(manifest)) json["artifacts"].push_back(std::move(a));
  }
  // Names of folders need not be UTF-8.
  return json.dump(1, ' ', false, OrderedJson::error_handler_t::replace);
}

std::vector<std::string> ExistingManifest::dropped_files(const Manifest& manifest) const {
  std::vector<std::string> dropped;
  if (!is_qvl()) return dropped;
  std::set<std::string> listed;
  for (const ManifestArtifact& a : manifest.artifacts) listed.insert({a.file, a.data_file});
  for (const OrderedJson& a : state_->kept(manifest))
    listed.insert({text_of(a, "file"), text_of(a, "data_file")});
  for (const OrderedJson& a : state_->json["artifacts"]) {
    for (const char* key : {"file", "data_file"}) {
      const std::string file = text_of(a, key);
      if (is_artifact_file(file) && !listed.contains(file)) dropped.push_back(file);
    }
  }
  return dropped;
}

}  // namespace qvl
