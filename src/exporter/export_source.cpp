#include "exporter/export_source.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "exporter/weight_stream.h"
#include "folder/copied_files.h"
#include "folder/fingerprint.h"
#include "models/family.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// weakly_canonical also gives "." and "folder/" a name.
std::string folder_name(const fs::path& folder) {
  const fs::path whole = fs::weakly_canonical(folder);
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

}  // namespace

ExportSource source_from_checkpoint(const ModelCheckpoint& opened) {
  const Checkpoint& checkpoint = opened.files;
  ExportSource source;
  source.name = folder_name(checkpoint.folder());
  source.fingerprint = checkpoint_fingerprint(checkpoint);
  source.model = opened.model;
  source.tensor = source_lookup(checkpoint);
  for (const std::string_view file : copied_files()) {
    const fs::path path = checkpoint.folder() / file;
    if (fs::is_regular_file(path)) source.files.push_back({std::string(file), fs::file_size(path)});
  }
  return source;
}

ExportSource source_from_preset(std::string_view name) {
  const auto [family, chosen] = preset(name);
  CheckpointOutline outline = family->outline(chosen, {});
  ExportSource source;
  source.name = chosen.hub_name;
  source.fingerprint = std::string(kFingerprintDigits, '0');
  source.model = std::move(outline.model);
  std::map<std::string, DType, std::less<>> dtypes;
  for (const TensorSpec& tensor : outline.tensors) dtypes.emplace(tensor.name, tensor.dtype);
  source.tensor = [dtypes = std::move(dtypes)](std::string_view tensor) {
    const auto& [found, dtype] = *dtypes.find(tensor);
    return SourceTensor{found, dtype};
  };
  for (const std::string_view copied : copied_files()) {
    const auto file = std::ranges::find(outline.files, copied, &TextFile::name);
    if (file != outline.files.end()) source.files.push_back({file->name, file->text.size()});
  }
  return source;
}

}  // namespace qvl
