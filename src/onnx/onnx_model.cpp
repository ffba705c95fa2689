#include "onnx/onnx_model.h"

#include <fmt/format.h>
#include <onnx/checker.h>
#include <onnx/defs/schema.h>
#include <onnx/shape_inference/implementation.h>

#include "core/output_file.h"
#include "onnx/model_state.h"
#include "qvl/error.h"

namespace qvl {

OnnxModel::OnnxModel(std::unique_ptr<State> state) : state_(std::move(state)) {}
OnnxModel::~OnnxModel() = default;
OnnxModel::OnnxModel(OnnxModel&&) noexcept = default;
OnnxModel& OnnxModel::operator=(OnnxModel&&) noexcept = default;

const std::vector<ExternalTensor>& OnnxModel::external_tensors() const noexcept { return state_->external; }

std::uint64_t OnnxModel::external_size_bytes() const noexcept { return state_->external_size_bytes; }

std::string OnnxModel::serialize(const std::string& data_file) const {
  const ParsedModel placed(*this, {}, data_file);
  std::string bytes;
  if (!placed.state().model.SerializeToString(&bytes)) {
    throw MachineError(fmt::format("the graph beside {} does not fit a protobuf (2 GiB)", data_file));
  }
  return bytes;
}

void OnnxModel::save(const std::filesystem::path& path, const std::string& data_file) const {
  write_file(path, serialize(data_file));
}

void OnnxModel::check(const std::filesystem::path& path) {
  try {
    onnx::checker::check_model(path.string());
    ParsedModel parsed(path);
    const onnx::ShapeInferenceOptions strict(/*check_type=*/true, /*error_mode=*/1, /*data_prop=*/true);
    onnx::shape_inference::InferShapes(parsed.state().model, onnx::OpSchemaRegistry::Instance(), strict);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw InputError(fmt::format("{} is not a valid ONNX model: {}", path.string(), error.what()));
  }
}

}  // namespace qvl
