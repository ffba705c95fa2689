// What an artifact is, said once: the exporter writes from it, verify checks against it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/dtype.h"
#include "image/pixel_size.h"
#include "models/artifact_set.h"
#include "models/tensor_table.h"
#include "onnx/onnx_model.h"

namespace qvl {

// What an export chooses.
struct ArtifactOptions {
  PixelSize picture{672, 672};    // of the artifacts that take pictures
  DType text_dtype = DType::f16;  // of the decoders' weights, image_embeds and logits: F16 or F32
  DType mask_dtype = DType::i64;  // of attention_mask: I64 or BOOL
  TiedHead head = TiedHead::own;  // of a tied lm_head
};

// An input or output.
struct PortSpec {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::string> shape;  // numbers, and names of what only a run knows: "batch", "seq"
};

using Metadata = std::vector<std::pair<std::string, std::string>>;

struct ArtifactSpec {
  ArtifactKind kind;
  std::string file_ending;  // what follows the stem in its file's name: "_vision_672_fp32.onnx"
  std::vector<PortSpec> inputs;
  std::vector<PortSpec> outputs;
  // The graph, with its weights where the table says. Throws UsageError for picture sizes and dtypes that
  // cannot be. The model must outlive it.
  std::function<OnnxModel(const TensorTable& table, const Metadata& metadata)> build;

  [[nodiscard]] std::string file(const std::string& stem) const { return stem + file_ending; }
};

// What an artifact holds of itself: its name and the size of its pictures.
[[nodiscard]] Metadata metadata_of(const ArtifactSpec& spec, const ArtifactOptions& options);

class Model;

// The three artifacts of the reference set with their names and ports, which are the same for all families;
// `build` is left to them.
[[nodiscard]] std::vector<ArtifactSpec> reference_specs(const Model& model, const ArtifactOptions& options);

}  // namespace qvl
