// manifest.json of a model folder: what is in it, where it came from, and what the conversion cost.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "folder/tensor_report.h"
#include "models/artifact_set.h"
#include "qvl/export.h"

namespace qvl {

inline constexpr const char* kManifestName = "manifest.json";
// Raised when a reader of older manifests would misunderstand a new one.
inline constexpr int kManifestFormat = 1;
// Of folders whose weights are quantized.
inline constexpr int kQuantizedManifestFormat = 2;

struct ManifestPort {
  std::string name;
  std::string dtype;
  std::vector<std::string> shape;
};

struct ManifestArtifact {
  std::string artifact;  // its name in the set
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
  TiedHead tied_head = TiedHead::own;  // of a text artifact
  // About what a runtime holds of weights that it unpacks to f32 when it loads the file.
  std::uint64_t unpacked_bytes = 0;
  std::vector<TensorReport> tensors;
};

// A file that was copied from the checkpoint: a config, the tokenizer, a chat template.
struct ManifestFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::string sha256;
};

struct Manifest {
  std::string set = std::string(kReferenceSet);
  std::string checkpoint;   // the folder's name
  std::string fingerprint;  // checkpoint_fingerprint
  std::string stem;
  std::vector<ManifestArtifact> artifacts;
  std::string plan = {};  // of a quantized folder: JSON text (quant/quant_plan.h)
  // Nothing in manifests of older versions, which do not list them.
  std::optional<std::vector<ManifestFile>> files = std::nullopt;
};

// All of manifest.json of a folder with these artifacts only.
[[nodiscard]] std::string manifest_text(const Manifest& manifest);
// The same with statistics of conversions and quantizations whose JSON text is the longest.
[[nodiscard]] Manifest with_longest_statistics(Manifest manifest);
// The entries of files in a folder. Throws InputError where one cannot be read.
[[nodiscard]] std::vector<ManifestFile> describe_files(const std::filesystem::path& folder,
                                                       std::span<const std::string> names);
// One of its tensors, as JSON.
[[nodiscard]] std::string tensor_json_text(const TensorReport& tensor);

// All of manifest.json, or of such a text; `source` names it in messages. What comes back is well-formed:
// known artifacts, each once; plain names of .onnx and .onnx_data files, and of copied_files() each once;
// known dtypes and transforms; shapes whose elements can be counted; sizes of pictures of 1 to 100000 pixels,
// 0 for an artifact without pictures. Whether it is true of the files, nobody has looked. Throws InputError
// that names the place for anything else, a manifest of another format, one of a set that is not known,
// and a file of more than 256 MiB.
[[nodiscard]] Manifest read_manifest(const std::filesystem::path& folder);
[[nodiscard]] Manifest parse_manifest(std::string_view json, std::string_view source);

// The manifest that a folder holds already, if any.
class ExistingManifest {
 public:
  // Reads manifest.json of the folder; whatever is wrong with it shows in is_qvl(). An empty path is no
  // folder, and not the current one.
  explicit ExistingManifest(const std::filesystem::path& folder);
  ~ExistingManifest();
  ExistingManifest(const ExistingManifest&) = delete;
  ExistingManifest& operator=(const ExistingManifest&) = delete;

  [[nodiscard]] bool exists() const noexcept;
  // Whether it is a manifest of this version's format.
  [[nodiscard]] bool is_qvl() const noexcept;
  // Of the checkpoint that the folder was exported from; "" when it is not ours.
  [[nodiscard]] std::string fingerprint() const;
  [[nodiscard]] std::string checkpoint() const;

  // The files that it lists for an artifact; plain names only.
  [[nodiscard]] std::vector<std::string> files_of(std::string_view artifact) const;

  // The JSON text of `manifest` with the artifacts of this one that `manifest` does not make anew, where both
  // come from one checkpoint and the files are there. Blanks at the end make it as long as it would be with
  // the largest conversion statistics, so that its size is known before the conversion.
  [[nodiscard]] std::string merged_into(const Manifest& manifest) const;
  // Files of this one's artifacts that the merged manifest does not list any more; plain names of .onnx and
  // .onnx_data files.
  [[nodiscard]] std::vector<std::string> dropped_files(const Manifest& manifest) const;

 private:
  [[nodiscard]] std::string json_text(const Manifest& manifest) const;

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qvl
