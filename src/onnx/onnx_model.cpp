#include "onnx/onnx_model.h"

#include <fmt/format.h>
#include <onnx/checker.h>
#include <onnx/defs/schema.h>
#include <onnx/shape_inference/implementation.h>

#include "core/mapped_file.h"
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
  onnx::ModelProto model = state_->model;
  for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) {
    if (tensor.data_location() != onnx::TensorProto::EXTERNAL) continue;
    for (onnx::StringStringEntryProto& entry : *tensor.mutable_external_data()) {
      if (entry.key() == "location") entry.set_value(data_file);
    }
  }
  std::string bytes;
  if (!model.SerializeToString(&bytes)) {
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
    const MappedFile file(path);
    onnx::ModelProto model;
    if (!model.ParseFromArray(file.bytes().data(), static_cast<int>(file.bytes().size()))) {
      throw InputError(fmt::format("{} is not an ONNX model", path.string()));
    }
    const onnx::ShapeInferenceOptions strict(/*check_type=*/true, /*error_mode=*/1, /*data_prop=*/true);
    onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(), strict);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw InputError(fmt::format("{} is not a valid ONNX model: {}", path.string(), error.what()));
  }
}

}  // namespace qvl
