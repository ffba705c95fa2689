#include "exporter/export_source.h"

#include <array>

#include "exporter/fingerprint.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// Copied as they are, where the checkpoint has them.
constexpr std::array kCopiedFiles{"config.json",
                                  "generation_config.json",
                                  "preprocessor_config.json",
                                  "processor_config.json",
                                  "tokenizer.json",
                                  "tokenizer_config.json",
                                  "chat_template.json",
                                  "chat_template.jinja",
                                  "special_tokens_map.json",
                                  "added_tokens.json",
                                  "vocab.json",
                                  "merges.txt"};

// weakly_canonical also gives "." and "folder/" a name.
std::string folder_name(const fs::path& folder) {
  const fs::path whole = fs::weakly_canonical(folder);
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

}  // namespace

ExportSource source_from_checkpoint(const Checkpoint& checkpoint) {
  ExportSource source;
  source.name = folder_name(checkpoint.folder());
  source.fingerprint = checkpoint_fingerprint(checkpoint);
  source.config = checkpoint.config();
  source.tensor = [&checkpoint](std::string_view name) {
    const TensorEntry& entry = *checkpoint.find(name);
    return SourceTensor{entry.name, entry.dtype};
  };
  for (const char* file : kCopiedFiles) {
    const fs::path path = checkpoint.folder() / file;
    if (fs::is_regular_file(path)) source.files.push_back({file, fs::file_size(path)});
  }
  return source;
}

}  // namespace qvl
