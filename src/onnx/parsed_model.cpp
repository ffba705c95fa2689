#include "onnx/parsed_model.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "core/mapped_file.h"
#include "onnx/external_data.h"
#include "onnx/model_state.h"
#include "qvl/error.h"

namespace qvl {

namespace fs = std::filesystem;

ParsedModel::ParsedModel(const fs::path& path) : ParsedModel(MappedFile(path).bytes(), path) {}

ParsedModel::ParsedModel(std::span<const std::byte> bytes, fs::path path)
    : state_(std::make_unique<State>()) {
  const bool fits = bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max());
  if (!fits || !state_->model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      !state_->model.has_graph())
    throw InputError(fmt::format("{} is not an ONNX model", path.string()));
  state_->path = std::move(path);
}

ParsedModel::ParsedModel(const OnnxModel& model, fs::path path, const std::string& data_file)
    : state_(std::make_unique<State>()) {
  state_->path = std::move(path);
  state_->model = model.state().model;
  for (onnx::TensorProto& tensor : *state_->model.mutable_graph()->mutable_initializer()) {
    if (is_external(tensor)) set_external_file(tensor, data_file);
  }
  state_->unwritten = {{data_file, model.external_size_bytes()}};
}

ParsedModel::ParsedModel(std::unique_ptr<State> state) : state_(std::move(state)) {}
ParsedModel::~ParsedModel() = default;
ParsedModel::ParsedModel(const ParsedModel& other) : state_(std::make_unique<State>(*other.state_)) {}
ParsedModel& ParsedModel::operator=(const ParsedModel& other) { return *this = ParsedModel(other); }
ParsedModel::ParsedModel(ParsedModel&&) noexcept = default;
ParsedModel& ParsedModel::operator=(ParsedModel&&) noexcept = default;

const fs::path& ParsedModel::path() const noexcept { return state_->path; }
std::uint64_t ParsedModel::file_bytes() const { return state_->model.ByteSizeLong(); }

}  // namespace qvl
