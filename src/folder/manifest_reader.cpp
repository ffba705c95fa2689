// Reads manifest.json whole; manifest.cpp writes it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/json_text.h"
#include "core/text_file.h"
#include "folder/artifact_names.h"
#include "folder/copied_files.h"
#include "folder/manifest.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::int64_t kMostPixels = 100'000;  // of a side of a picture

// Text out of the file, short enough for a message.
std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() <= 80 ? text : text.substr(0, 80) + "…";
}

// One object of the manifest; where it stands goes into messages ("artifacts[0].tensors[3]").
class Fields {
 public:
  Fields(const Json& object, std::string where, std::string_view source)
      : object_(object), where_(std::move(where)), source_(source) {
    if (!object.is_object()) fail("", "an object", object);
  }

  [[nodiscard]] bool has(const char* key) const { return object_.contains(key); }

  [[nodiscard]] const Json& at(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) throw InputError(fmt::format("{}: {} is missing", source_, path(key)));
    return *found;
  }

  [[nodiscard]] std::string text(const char* key) const {
    const Json& value = at(key);
    if (!value.is_string()) fail(key, "a string", value);
    return value.get<std::string>();
  }

  [[nodiscard]] std::uint64_t count(const char* key) const {
    const Json& value = at(key);
    if (!value.is_number_unsigned()) fail(key, "a whole number, 0 or more", value);
    return value.get<std::uint64_t>();
  }

  [[nodiscard]] std::int64_t integer(const char* key, std::int64_t min, std::int64_t max) const {
    const Json& value = at(key);
    const auto limit = static_cast<std::uint64_t>(max);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > limit ||
        value.get<std::int64_t>() < min) {
      fail(key, fmt::format("a whole number of {} to {}", min, max), value);
    }
    return value.get<std::int64_t>();
  }

  [[nodiscard]] double error_size(const char* key) const {
    const Json& value = at(key);
    if (!value.is_number() || !std::isfinite(value.get<double>()) || value.get<double>() < 0)
      fail(key, "a number, 0 or more", value);
    return value.get<double>();
  }

  [[nodiscard]] Fields object(const char* key) const { return {at(key), path(key), source_}; }

  // A field of an object whose keys are names of files.
  template <class Take>
  [[nodiscard]] auto of_file(const char* key, const std::string& file, Take&& take) const {
    return take(object(key), file.c_str());
  }

  // An absent list is an empty one: the writer leaves those out.
  template <class Visit>
  void each(const char* key, Visit&& visit) const {
    if (!has(key)) return;
    const Json& list = at(key);
    if (!list.is_array()) fail(key, "a list", list);
    for (std::size_t i = 0; i < list.size(); ++i) visit(list[i], fmt::format("{}[{}]", path(key), i));
  }

  [[noreturn]] void fail(const char* key, const std::string& wanted, const Json& found) const {
    throw InputError(fmt::format("{}: {} is {}; {} is expected", source_, path(key), shown(found), wanted));
  }

 private:
  [[nodiscard]] std::string path(std::string_view key) const {
    if (where_.empty()) return key.empty() ? "the top level" : std::string(key);
    return key.empty() ? where_ : fmt::format("{}.{}", where_, key);
  }

  const Json& object_;
  std::string where_;
  std::string_view source_;
};

class Reader {
 public:
  explicit Reader(std::string_view source) : source_(source) {}

  [[nodiscard]] Manifest manifest(const Json& json) const {
    const Fields top(json, "", source_);
    const Json& format = top.at("format");
    const bool quantized = format == kQuantizedManifestFormat;
    if (format != kManifestFormat && !quantized) {
      throw InputError(
          fmt::format("{} has the format {}; this version of qvl reads {}: export the checkpoint again",
                      source_, shown(format), kManifestFormat));
    }
    Manifest manifest;
    manifest.set = top.text("set");
    if (manifest.set != kReferenceSet) top.fail("set", fmt::format("\"{}\"", kReferenceSet), top.at("set"));
    manifest.checkpoint = top.text("checkpoint");
    manifest.fingerprint = top.text("fingerprint");
    manifest.stem = top.text("stem");
    if (quantized) {
      (void)top.object("plan");
      manifest.plan = top.at("plan").dump(-1, ' ', true, Json::error_handler_t::replace);
    }
    if (!is_valid_stem(manifest.stem)) top.fail("stem", "the first part of file names", top.at("stem"));
    if (top.has("files")) {
      manifest.files.emplace();
      top.each("files", [&](const Json& entry, const std::string& where) {
        manifest.files->push_back(copied(Fields(entry, where, source_), *manifest.files));
      });
    }
    (void)top.at("artifacts");
    top.each("artifacts", [&](const Json& entry, const std::string& where) {
      const Fields fields(entry, where, source_);
      manifest.artifacts.push_back(artifact(fields, manifest.set));
      const std::string& kind = manifest.artifacts.back().artifact;
      const auto same = [&](const ManifestArtifact& a) { return a.artifact == kind; };
      if (std::ranges::count_if(manifest.artifacts, same) > 1)
        fields.fail("artifact", "each artifact once", fields.at("artifact"));
    });
    return manifest;
  }

 private:
  [[nodiscard]] ManifestArtifact artifact(const Fields& fields, const std::string& set) const {
    ManifestArtifact a;
    const ArtifactKind& kind = kind_of(fields, set);
    a.artifact = kind.name;
    a.file = file(fields, "file", ".onnx");
    a.data_file = file(fields, "data_file", ".onnx_data");
    const auto hash = [](const Fields& files, const char* name) { return files.text(name); };
    const auto size = [](const Fields& files, const char* name) { return files.count(name); };
    a.file_sha256 = fields.of_file("sha256", a.file, hash);
    a.data_sha256 = fields.of_file("sha256", a.data_file, hash);
    a.file_bytes = fields.of_file("bytes", a.file, size);
    a.data_bytes = fields.of_file("bytes", a.data_file, size);
    a.opset = fields.integer("opset", 0, 1000);
    if (kind.takes_pictures) {
      const Fields picture = fields.object("image_size");
      a.image_width_pixels = picture.integer("width", 1, kMostPixels);
      a.image_height_pixels = picture.integer("height", 1, kMostPixels);
    }
    if (!kind.encodes_pictures) a.tied_head = tied_head(fields);
    if (fields.has("unpacked_bytes")) a.unpacked_bytes = fields.count("unpacked_bytes");
    fields.each("inputs", [&](const Json& entry, const std::string& where) {
      a.inputs.push_back(port(Fields(entry, where, source_)));
    });
    fields.each("outputs", [&](const Json& entry, const std::string& where) {
      a.outputs.push_back(port(Fields(entry, where, source_)));
    });
    fields.each("tensors", [&](const Json& entry, const std::string& where) {
      a.tensors.push_back(tensor(Fields(entry, where, source_)));
    });
    return a;
  }

  // One that an export copies, and each once.
  [[nodiscard]] static ManifestFile copied(const Fields& fields, const std::vector<ManifestFile>& before) {
    ManifestFile file{fields.text("file"), fields.count("bytes"), fields.text("sha256")};
    if (std::ranges::find(copied_files(), file.name) == copied_files().end() ||
        std::ranges::find(before, file.name, &ManifestFile::name) != before.end())
      fields.fail("file", "a file that an export copies (config.json, …), each once", fields.at("file"));
    return file;
  }

  [[nodiscard]] static const ArtifactKind& kind_of(const Fields& fields, const std::string& set) {
    const ArtifactKind* const kind = find_artifact(set, fields.text("artifact"));
    if (kind == nullptr) fields.fail("artifact", "vision, text or text_with_image", fields.at("artifact"));
    return *kind;
  }

  // Manifests from before it was written are of shared tables.
  [[nodiscard]] static TiedHead tied_head(const Fields& fields) {
    if (!fields.has("tied_head")) return TiedHead::shared;
    const Json& value = fields.at("tied_head");
    if (!value.is_boolean()) fields.fail("tied_head", "true or false", value);
    return value.get<bool>() ? TiedHead::shared : TiedHead::own;
  }

  // Nothing outside the folder may be opened, whatever a downloaded manifest says.
  [[nodiscard]] static std::string file(const Fields& fields, const char* key, std::string_view ending) {
    std::string text = fields.text(key);
    if (text.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos || text.starts_with('.') ||
        !text.ends_with(ending)) {
      fields.fail(key, fmt::format("the name of a file in the folder that ends in {}", ending),
                  fields.at(key));
    }
    return text;
  }

  [[nodiscard]] ManifestPort port(const Fields& fields) const {
    ManifestPort port{fields.text("name"), fields.text("dtype"), {}};
    fields.each("shape", [&](const Json& entry, const std::string& where) {
      if (!entry.is_string())
        throw InputError(fmt::format("{}: {} is {}; a string is expected", source_, where, shown(entry)));
      port.shape.push_back(entry.get<std::string>());
    });
    return port;
  }

  [[nodiscard]] TensorReport tensor(const Fields& fields) const {
    TensorReport t;
    t.name = fields.text("name");
    (void)fields.at("shape");
    fields.each("shape", [&](const Json& entry, const std::string& where) {
      if (!entry.is_number_unsigned() || entry.get<std::int64_t>() < 0)
        throw InputError(
            fmt::format("{}: {} is {}; a whole number is expected", source_, where, shown(entry)));
      t.shape.push_back(entry.get<std::int64_t>());
    });
    if (!element_count(t.shape)) fields.fail("shape", "a countable number of elements", fields.at("shape"));
    t.dtype = t.source_dtype = dtype(fields, "dtype");
    t.offset_bytes = fields.count("offset");
    t.size_bytes = fields.count("bytes");
    if (fields.has("quantization")) t.quantization = quantization(fields.object("quantization"));
    if (fields.text("source") == "computed" && !fields.has("transform")) return t;
    t.source = fields.text("source");
    if (t.source.empty()) fields.fail("source", "the name of a tensor, or \"computed\"", fields.at("source"));
    t.source_dtype = dtype(fields, "source_dtype");
    t.transform = transform(fields);
    t.stats = {fields.count("overflowed"), fields.count("subnormal"), fields.count("not_finite"),
               fields.error_size("max_abs_error")};
    return t;
  }

  [[nodiscard]] static TensorQuantization quantization(const Fields& fields) {
    TensorQuantization q{fields.text("role"), fields.text("format"), fields.text("algorithm"), 0, 0};
    if (q.role == "levels") {
      q.relative_error = fields.error_size("relative_error");
      q.max_abs_error = fields.error_size("max_abs_error");
    } else if (q.role != "scales" && q.role != "smoothing") {
      fields.fail("role", "levels, scales or smoothing", fields.at("role"));
    }
    return q;
  }

  [[nodiscard]] static DType dtype(const Fields& fields, const char* key) {
    const auto dtype = dtype_from_name(fields.text(key));
    if (!dtype) fields.fail(key, "a dtype (F32, F16, …)", fields.at(key));
    return *dtype;
  }

  [[nodiscard]] static Transform transform(const Fields& fields) {
    const std::string text = fields.text("transform");
    if (text == "none") return Transform::none;
    if (text == "transpose") return Transform::transpose;
    if (text == "flatten_transpose") return Transform::flatten_transpose;
    fields.fail("transform", "none, transpose or flatten_transpose", fields.at("transform"));
  }

  std::string_view source_;
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
