// Folders that are written to: what lies there already, and whether it may stay beside what comes.
#pragma once

#include <filesystem>
#include <string>

namespace qvl {

enum class FolderKind {
  empty,       // missing, or without files that are not hidden; folders in it do not count
  checkpoint,  // weights as on the Hugging Face hub
  model,       // what `qvl export` writes
  report,      // of `qvl sensitivity`
  quantized,   // ONNX files that `qvl quantize` wrote
  onnx,        // other ONNX files
  other
};

struct FolderContents {
  FolderKind kind = FolderKind::empty;
  std::string words;  // "a checkpoint (config.json, model.safetensors)"
};

// Told by the names of files, and by what a manifest.json says. Throws InputError where the folder cannot be
// read.
[[nodiscard]] FolderContents folder_contents(const std::filesystem::path& folder);

// To be asked before long work. Passes an empty folder and one of the kind `own`; with `force` one of other
// files, too. Throws InputError that says what is there for all else, also where no folder can be made or
// written to: a file at its place or above it, no permission, a read-only disk.
void require_output_folder(const std::filesystem::path& folder, FolderKind own, bool force);

// The folder with its parents, where they are missing. Throws as throw_write_error.
void make_output_folder(const std::filesystem::path& folder);

}  // namespace qvl
