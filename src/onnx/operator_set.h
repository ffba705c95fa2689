// The operator sets that a model imports. Internal to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>

namespace qvl {

// ONNX Runtime's own operators.
inline constexpr const char* kContribDomain = "com.microsoft";

// The standard's domain has two names.
[[nodiscard]] inline std::string short_domain(const std::string& domain) {
  return domain == "ai.onnx" ? "" : domain;
}

// The version of the standard's operators; 0 where the model imports none.
[[nodiscard]] inline std::int64_t standard_opset(const onnx::ModelProto& model) {
  std::int64_t version = 0;
  for (const onnx::OperatorSetIdProto& set : model.opset_import()) {
    if (short_domain(set.domain()).empty()) version = set.version();
  }
  return version;
}

// Adds the domain where the model does not import it yet.
inline void import_domain(onnx::ModelProto& model, const std::string& domain, std::int64_t version) {
  for (const onnx::OperatorSetIdProto& set : model.opset_import()) {
    if (short_domain(set.domain()) == short_domain(domain)) return;
  }
  onnx::OperatorSetIdProto& set = *model.add_opset_import();
  set.set_domain(domain);
  set.set_version(version);
}

}  // namespace qvl
