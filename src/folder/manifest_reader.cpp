// Reads manifest.json whole; manifest.cpp writes it.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "core/json_fields.h"
#include "core/json_text.h"
#include "core/text_file.h"
#include "folder/artifact_names.h"
#include "folder/copied_files.h"
#include "folder/manifest.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::int64_t kMostPixels = 100'000;  // of a side of a picture
constexpr std::uint64_t kMostElements = std::numeric_limits<std::int64_t>::max();

class Reader {
 public:
  explicit Reader(std::string_view source) : source_(source), problems_(source, JsonErrors::first) {}

  [[nodiscard]] Manifest manifest(const Json& json) {
    const JsonFields top(json, problems_);
    const Json& format = top.at("format");
    const bool quantized = format == kQuantizedManifestFormat;
    if (format != kManifestFormat && !quantized) {
      throw InputError(
          fmt::format("{} has the format {}; this version of qvl reads {}: export the checkpoint again",
                      source_, shown(format), kManifestFormat));
    }
    Manifest manifest;
    manifest.set = top.text("set");
    if (manifest.set != kReferenceSet) top.fail("set", fmt::format("\"{}\"", kReferenceSet));
    manifest.checkpoint = top.text("checkpoint");
    manifest.fingerprint = top.text("fingerprint");
    manifest.stem = top.text("stem");
    if (quantized) {
      (void)top.object("plan");
      manifest.plan = top.at("plan").dump(-1, ' ', true, Json::error_handler_t::replace);
    }
    if (!is_valid_stem(manifest.stem)) top.fail("stem", "the first part of file names");
    if (top.mentions("files")) {
      manifest.files.emplace();
      top.each_object("files", [&](const JsonFields& fields) {
        manifest.files->push_back(copied(fields, *manifest.files));
      });
    }
    top.each_object("artifacts", [&](const JsonFields& fields) {
      manifest.artifacts.push_back(artifact(fields, manifest.set));
      const std::string& kind = manifest.artifacts.back().artifact;
      const auto same = [&](const ManifestArtifact& a) { return a.artifact == kind; };
      if (std::ranges::count_if(manifest.artifacts, same) > 1) fields.fail("artifact", "each artifact once");
    });
    return manifest;
  }

 private:
  [[nodiscard]] ManifestArtifact artifact(const JsonFields& fields, const std::string& set) const {
    ManifestArtifact a;
    const ArtifactKind& kind = kind_of(fields, set);
    a.artifact = kind.name;
    a.file = file(fields, "file", ".onnx");
    a.data_file = file(fields, "data_file", ".onnx_data");
    const JsonFields hashes = fields.object("sha256");
    a.file_sha256 = hashes.text(a.file);
    a.data_sha256 = hashes.text(a.data_file);
    const JsonFields sizes = fields.object("bytes");
    a.file_bytes = sizes.count(a.file);
    a.data_bytes = sizes.count(a.data_file);
    a.opset = fields.whole("opset", 0, 1000);
    if (kind.takes_pictures) {
      const JsonFields picture = fields.object("image_size");
      a.image_width_pixels = picture.whole("width", 1, kMostPixels);
      a.image_height_pixels = picture.whole("height", 1, kMostPixels);
    }
    if (!kind.encodes_pictures) a.tied_head = tied_head(fields);
    if (fields.mentions("unpacked_bytes")) a.unpacked_bytes = fields.count("unpacked_bytes");
    each_if_there(fields, "inputs", [&](const JsonFields& entry) { a.inputs.push_back(port(entry)); });
    each_if_there(fields, "outputs", [&](const JsonFields& entry) { a.outputs.push_back(port(entry)); });
    each_if_there(fields, "tensors", [&](const JsonFields& entry) { a.tensors.push_back(tensor(entry)); });
    return a;
  }

  // The writer leaves out lists that are empty.
  template <class Visit>
  static void each_if_there(const JsonFields& fields, const char* key, Visit&& visit) {
    if (fields.mentions(key)) fields.each_object(key, visit);
  }

  // One that an export copies, and each once.
  [[nodiscard]] static ManifestFile copied(const JsonFields& fields,
                                           const std::vector<ManifestFile>& before) {
    ManifestFile file{fields.text("file"), fields.count("bytes"), fields.text("sha256")};
    if (std::ranges::find(copied_files(), file.name) == copied_files().end() ||
        std::ranges::find(before, file.name, &ManifestFile::name) != before.end())
      fields.fail("file", "a file that an export copies (config.json, …), each once");
    return file;
  }

  [[nodiscard]] static const ArtifactKind& kind_of(const JsonFields& fields, const std::string& set) {
    const ArtifactKind* const kind = find_artifact(set, fields.text("artifact"));
    if (kind == nullptr) fields.fail("artifact", "vision, text or text_with_image");
    return *kind;
  }

  // Manifests from before it was written are of shared tables.
  [[nodiscard]] static TiedHead tied_head(const JsonFields& fields) {
    if (!fields.mentions("tied_head")) return TiedHead::shared;
    return fields.flag("tied_head") ? TiedHead::shared : TiedHead::own;
  }

  // Nothing outside the folder may be opened, whatever a downloaded manifest says.
  [[nodiscard]] static std::string file(const JsonFields& fields, const char* key, std::string_view ending) {
    std::string text = fields.text(key);
    if (text.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos || text.starts_with('.') ||
        !text.ends_with(ending)) {
      fields.fail(key, fmt::format("the name of a file in the folder that ends in {}", ending));
    }
    return text;
  }

  [[nodiscard]] ManifestPort port(const JsonFields& fields) const {
    ManifestPort port{fields.text("name"), fields.text("dtype"), {}};
    if (!fields.mentions("shape")) return port;
    fields.each("shape", [&](const Json& entry, const std::string& place) {
      port.shape.push_back(fields.text_at(place, entry));
    });
    return port;
  }

  [[nodiscard]] TensorReport tensor(const JsonFields& fields) const {
    TensorReport t;
    t.name = fields.text("name");
    fields.each("shape", [&](const Json& entry, const std::string& place) {
      t.shape.push_back(static_cast<std::int64_t>(fields.count_at(place, entry, kMostElements)));
    });
    if (!element_count(t.shape)) fields.fail("shape", "a countable number of elements");
    t.dtype = t.source_dtype = dtype(fields, "dtype");
    t.offset_bytes = fields.count("offset");
    t.size_bytes = fields.count("bytes");
    if (fields.mentions("quantization")) t.quantization = quantization(fields.object("quantization"));
    if (fields.text("source") == "computed" && !fields.mentions("transform")) return t;
    t.source = fields.text("source");
    if (t.source.empty()) fields.fail("source", "the name of a tensor, or \"computed\"");
    t.source_dtype = dtype(fields, "source_dtype");
    t.transform = transform(fields);
    t.stats = {fields.count("overflowed"), fields.count("subnormal"), fields.count("not_finite"),
               fields.magnitude("max_abs_error")};
    return t;
  }

  [[nodiscard]] static TensorQuantization quantization(const JsonFields& fields) {
    TensorQuantization q{fields.text("role"), fields.text("format"), fields.text("algorithm"), 0, 0};
    if (q.role == "levels") {
      q.relative_error = fields.magnitude("relative_error");
      q.max_abs_error = fields.magnitude("max_abs_error");
    } else if (q.role != "scales" && q.role != "smoothing") {
      fields.fail("role", "levels, scales or smoothing");
    }
    return q;
  }

  [[nodiscard]] static DType dtype(const JsonFields& fields, const char* key) {
    const auto dtype = dtype_from_name(fields.text(key));
    if (!dtype) fields.fail(key, "a dtype (F32, F16, …)");
    return *dtype;
  }

  [[nodiscard]] static Transform transform(const JsonFields& fields) {
    const std::string text = fields.text("transform");
    if (text == "none") return Transform::none;
    if (text == "transpose") return Transform::transpose;
    if (text == "flatten_transpose") return Transform::flatten_transpose;
    fields.fail("transform", "none, transpose or flatten_transpose");
  }

  std::string_view source_;
  JsonProblems problems_;
};

}  // namespace

Manifest parse_manifest(std::string_view json, std::string_view source) {
  return Reader(source).manifest(parse_json(json, source));
}

Manifest read_manifest(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "manifest.json";
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    throw InputError(fmt::format("{} has no manifest.json; a folder written by `qvl export` is expected",
                                 folder.string()));
  }
  return parse_manifest(read_text_file(path), path.string());
}

}  // namespace qvl
