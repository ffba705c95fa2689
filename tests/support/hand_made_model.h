// ONNX models made node by node from the protobuf classes, so that they owe nothing to qvl's own builder and
// readers.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/shape.h"

namespace qvl::test {

using Names = std::vector<std::string>;
constexpr std::int64_t kOpen = -1;  // a dimension that is not known

class HandMadeModel {
 public:
  explicit HandMadeModel(std::int64_t opset = 17);

  [[nodiscard]] onnx::ModelProto& proto() { return model_; }
  [[nodiscard]] onnx::GraphProto& graph() { return *model_.mutable_graph(); }

  void input(const std::string& name, const Shape& shape, int type = onnx::TensorProto::FLOAT);
  // Its shape is left open.
  void output(const std::string& name, int type = onnx::TensorProto::FLOAT);

  // Initializers. Values that are given as f32 are rounded to the type.
  onnx::TensorProto& floats(const std::string& name, const Shape& shape, const std::vector<float>& values);
  onnx::TensorProto& halves(const std::string& name, const Shape& shape, const std::vector<float>& values);
  onnx::TensorProto& bfloats(const std::string& name, const Shape& shape, const std::vector<float>& values);
  onnx::TensorProto& bytes(const std::string& name, const Shape& shape,
                           const std::vector<std::int8_t>& values);
  onnx::TensorProto& integers(const std::string& name, const Shape& shape,
                              const std::vector<std::int64_t>& values);

  onnx::NodeProto& node(const std::string& op, const Names& inputs, const Names& outputs,
                        const std::string& name = "");

  [[nodiscard]] std::string serialize() const { return model_.SerializeAsString(); }
  void save(const std::filesystem::path& path) const;

 private:
  onnx::ModelProto model_;
};

// x [4, width] through two calls, first and second, of a function "Layer" that calls "Linear" twice, up and
// down, to y [4, width]. Linear is x w + b; the weights are w0 to w3 [width, width].
HandMadeModel model_of_functions(std::int64_t width);

// Tensors that belong to no graph yet.
onnx::TensorProto float_tensor(const std::string& name, const Shape& shape, const std::vector<float>& values);
onnx::TensorProto half_tensor(const std::string& name, const Shape& shape, const std::vector<float>& values);

onnx::NodeProto& add_node(onnx::GraphProto& graph, const std::string& op, const Names& inputs,
                          const Names& outputs, const std::string& name = "");
onnx::ValueInfoProto value_info(const std::string& name, const Shape& shape, int type);

void set(onnx::NodeProto& node, const std::string& attribute, std::int64_t value);
void set(onnx::NodeProto& node, const std::string& attribute, const std::vector<std::int64_t>& values);
void set(onnx::NodeProto& node, const std::string& attribute, const onnx::TensorProto& tensor);
onnx::GraphProto& sub_graph(onnx::NodeProto& node, const std::string& attribute);

// Moves a tensor's bytes into the file: `location` is what the model says of it.
void make_external(onnx::TensorProto& tensor, const std::filesystem::path& file, const std::string& location);

// Normally distributed, the same for the same seed.
std::vector<float> noise(std::size_t count, unsigned seed, float deviation = 1.0F);
// The nearest values that f16 has.
std::vector<float> rounded_to_half(std::vector<float> values);

}  // namespace qvl::test
