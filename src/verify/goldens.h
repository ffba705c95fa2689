// A file of goldens, checked: what the reference implementation computed, stage by stage. The format
// "qvl-goldens-1" is described in docs/goldens.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "image/pixel_size.h"
#include "models/model.h"
#include "text/chat.h"

namespace qvl {

// One prompt. Every tensor may be absent; those that are there have the dtype and shape that docs/goldens.md
// asks for, and ids and row numbers within their bounds.
struct GoldenCase {
  std::string name;
  bool has_picture = false;
  std::vector<ChatMessage> messages;      // empty: the ids do not come from a chat
  std::vector<std::string> texts;         // one a row, where the ids come from plain texts
  std::map<std::string, Tensor> tensors;  // by their name without the case's: "vision.blocks.7"

  // Null when it is absent.
  [[nodiscard]] const Tensor* find(const std::string& tensor) const {
    const auto found = tensors.find(tensor);
    return found == tensors.end() ? nullptr : &found->second;
  }
};

struct Goldens {
  std::string provenance;    // what made them
  std::string fingerprint;   // checkpoint_fingerprint of the checkpoint; empty where the file does not say
  DType dtype = DType::f32;  // what the reference computed in: F32, F16 or BF16
  PixelSize image_size;      // of the resized picture
  std::vector<GoldenCase> cases;

  // `vocab`, layers and widths come from `model`. Throws InputError for a file of another format and for
  // anything that does not fit the model.
  [[nodiscard]] static Goldens open(const std::filesystem::path& path, const Model& model);
};

}  // namespace qvl
