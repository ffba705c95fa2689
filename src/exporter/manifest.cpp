#include "exporter/manifest.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "exporter/artifact_names.h"
#include "qvl/version.h"

namespace qvl {
namespace {

// Raised when a reader of the manifest must know.
constexpr int kManifestFormat = 1;

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

OrderedJson artifact_json(const ManifestArtifact& a) {
  OrderedJson json{{"artifact", name(a.artifact)},
                   {"file", a.file},
                   {"data_file", a.data_file},
                   {"sha256", {{a.file, a.file_sha256}, {a.data_file, a.data_sha256}}},
                   {"bytes", {{a.file, a.file_bytes}, {a.data_file, a.data_bytes}}},
                   {"opset", a.opset}};
  if (a.artifact != Artifact::text) {
    json["image_size"] = {{"width", a.image_width_pixels}, {"height", a.image_height_pixels}};
  }
  for (const ManifestPort& port : a.inputs) json["inputs"].push_back(port_json(port));
  for (const ManifestPort& port : a.outputs) json["outputs"].push_back(port_json(port));
  for (const TensorReport& t : a.tensors) json["tensors"].push_back(tensor_json(t));
  return json;
}

// Artifacts of the manifest that is there and that stay valid.
std::vector<OrderedJson> kept_artifacts(const Manifest& manifest, const std::string& existing,
                                        const std::filesystem::path& folder) {
  std::vector<OrderedJson> kept;
  if (existing.empty()) return kept;
  const OrderedJson old = OrderedJson::parse(existing, nullptr, /*allow_exceptions=*/false);
  if (!old.is_object() || old.value("stem", "") != manifest.stem || !old.contains("artifacts") ||
      !old["artifacts"].is_array()) {
    return kept;
  }
  std::set<std::string> made;
  for (const ManifestArtifact& a : manifest.artifacts) made.insert(name(a.artifact));
  for (const OrderedJson& a : old["artifacts"]) {
    if (!a.is_object() || !a.contains("artifact") || !a["artifact"].is_string()) continue;
    if (made.contains(a["artifact"].get<std::string>())) continue;
    const auto there = [&](const char* key) {
      return a.contains(key) && a[key].is_string() &&
             std::filesystem::is_regular_file(folder / a[key].get<std::string>());
    };
    if (there("file") && there("data_file")) kept.push_back(a);
  }
  return kept;
}

}  // namespace

std::string manifest_json(const Manifest& manifest, const std::string& existing,
                          const std::filesystem::path& folder) {
  OrderedJson json{{"format", kManifestFormat},
                   {"qvl", QVL_VERSION},
                   {"set", "reference"},
                   {"checkpoint", manifest.checkpoint},
                   {"stem", manifest.stem}};
  json["artifacts"] = OrderedJson::array();
  for (const ManifestArtifact& a : manifest.artifacts) json["artifacts"].push_back(artifact_json(a));
  for (OrderedJson& a : kept_artifacts(manifest, existing, folder)) json["artifacts"].push_back(std::move(a));
  return json.dump(1) + "\n";
}

}  // namespace qvl
