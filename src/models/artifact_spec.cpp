#include "models/artifact_spec.h"

#include <fmt/format.h>

#include "models/model.h"

namespace qvl {
namespace {

std::string size_in_names(PixelSize size) {
  return size.width == size.height ? fmt::format("{}", size.width)
                                   : fmt::format("{}x{}", size.width, size.height);
}

std::string number(std::int64_t n) { return std::to_string(n); }

void add_vision_ports(ArtifactSpec& spec, const ModelFacts& facts, const ArtifactOptions& options) {
  const PixelSize size = options.picture;
  spec.file_ending = fmt::format("_{}_{}_fp32.onnx", kVisionArtifact, size_in_names(size));
  spec.inputs = {{"pixel_values",
                  DType::f32,
                  {"1", number(facts.picture_channels), number(size.height), number(size.width)}}};
  spec.outputs = {
      {"vision_features", DType::f32, {number(facts.picture_tokens(size)), number(facts.hidden_size)}}};
}

void add_text_ports(ArtifactSpec& spec, const ModelFacts& facts, const ArtifactOptions& options) {
  spec.file_ending =
      fmt::format("_{}_{}.onnx", spec.kind.name, options.text_dtype == DType::f32 ? "fp32" : "fp16");
  spec.inputs = {{"input_ids", DType::i64, {"batch", "seq"}},
                 {"attention_mask", options.mask_dtype, {"batch", "seq"}}};
  if (spec.kind.takes_pictures) {
    spec.inputs.push_back({"image_embeds", options.text_dtype, {"batch", "seq", number(facts.hidden_size)}});
  }
  spec.outputs = {{"logits", options.text_dtype, {"batch", "seq", number(facts.vocab_size)}}};
}

}  // namespace

Metadata metadata_of(const ArtifactSpec& spec, const ArtifactOptions& options) {
  Metadata metadata{{"qvl.artifact", std::string(spec.kind.name)}};
  if (spec.kind.takes_pictures) {
    metadata.emplace_back("qvl.image_size",
                          fmt::format("{}x{}", options.picture.width, options.picture.height));
  }
  return metadata;
}

std::vector<ArtifactSpec> reference_specs(const Model& model, const ArtifactOptions& options) {
  std::vector<ArtifactSpec> specs;
  for (const ArtifactKind& kind : artifacts_of(kReferenceSet)) {
    ArtifactSpec& spec = specs.emplace_back();
    spec.kind = kind;
    if (kind.encodes_pictures) {
      add_vision_ports(spec, model.facts(), options);
    } else {
      add_text_ports(spec, model.facts(), options);
    }
  }
  return specs;
}

}  // namespace qvl
