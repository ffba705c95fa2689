#include "support/hand_made_model.h"

#include <cstring>
#include <random>
#include <span>
#include <stdexcept>

#include "core/half.h"
#include "support/test_data.h"

namespace qvl::test {
namespace {

template <class T>
void fill(onnx::TensorProto& tensor, const std::string& name, int type, const Shape& shape,
          const std::vector<T>& values) {
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const std::int64_t dim : shape) tensor.add_dims(dim);
  tensor.mutable_raw_data()->assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

onnx::AttributeProto& attribute(onnx::NodeProto& node, const std::string& name,
                                onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto& added = *node.add_attribute();
  added.set_name(name);
  added.set_type(type);
  return added;
}

}  // namespace

HandMadeModel::HandMadeModel(std::int64_t opset) {
  model_.set_ir_version(8);
  model_.add_opset_import()->set_version(opset);
  model_.mutable_graph()->set_name("hand-made");
}

void HandMadeModel::input(const std::string& name, const Shape& shape, int type) {
  *graph().add_input() = value_info(name, shape, type);
}

void HandMadeModel::output(const std::string& name, int type) {
  onnx::ValueInfoProto& value = *graph().add_output();
  value.set_name(name);
  value.mutable_type()->mutable_tensor_type()->set_elem_type(type);
}

onnx::TensorProto& HandMadeModel::floats(const std::string& name, const Shape& shape,
                                         const std::vector<float>& values) {
  return *graph().add_initializer() = float_tensor(name, shape, values);
}

onnx::TensorProto& HandMadeModel::halves(const std::string& name, const Shape& shape,
                                         const std::vector<float>& values) {
  return *graph().add_initializer() = half_tensor(name, shape, values);
}

onnx::TensorProto& HandMadeModel::bfloats(const std::string& name, const Shape& shape,
                                          const std::vector<float>& values) {
  std::vector<std::uint16_t> bits;
  for (const float value : values) bits.push_back(to_bfloat16(value).bits);
  onnx::TensorProto& tensor = *graph().add_initializer();
  fill(tensor, name, onnx::TensorProto::BFLOAT16, shape, bits);
  return tensor;
}

onnx::TensorProto& HandMadeModel::bytes(const std::string& name, const Shape& shape,
                                        const std::vector<std::int8_t>& values) {
  onnx::TensorProto& tensor = *graph().add_initializer();
  fill(tensor, name, onnx::TensorProto::INT8, shape, values);
  return tensor;
}

onnx::TensorProto& HandMadeModel::integers(const std::string& name, const Shape& shape,
                                           const std::vector<std::int64_t>& values) {
  onnx::TensorProto& tensor = *graph().add_initializer();
  fill(tensor, name, onnx::TensorProto::INT64, shape, values);
  return tensor;
}

onnx::NodeProto& HandMadeModel::node(const std::string& op, const Names& inputs, const Names& outputs,
                                     const std::string& name) {
  return add_node(graph(), op, inputs, outputs, name);
}

void HandMadeModel::save(const std::filesystem::path& path) const { write_file(path, serialize()); }

onnx::TensorProto float_tensor(const std::string& name, const Shape& shape,
                               const std::vector<float>& values) {
  onnx::TensorProto tensor;
  fill(tensor, name, onnx::TensorProto::FLOAT, shape, values);
  return tensor;
}

onnx::TensorProto half_tensor(const std::string& name, const Shape& shape, const std::vector<float>& values) {
  std::vector<std::uint16_t> bits;
  for (const float value : values) bits.push_back(to_half(value).bits);
  onnx::TensorProto tensor;
  fill(tensor, name, onnx::TensorProto::FLOAT16, shape, bits);
  return tensor;
}

onnx::NodeProto& add_node(onnx::GraphProto& graph, const std::string& op, const Names& inputs,
                          const Names& outputs, const std::string& name) {
  onnx::NodeProto& node = *graph.add_node();
  node.set_op_type(op);
  if (!name.empty()) node.set_name(name);
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) node.add_output(output);
  return node;
}

onnx::ValueInfoProto value_info(const std::string& name, const Shape& shape, int type) {
  onnx::ValueInfoProto value;
  value.set_name(name);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  tensor.mutable_shape();
  for (const std::int64_t dim : shape) {
    auto& added = *tensor.mutable_shape()->add_dim();
    if (dim != kOpen) added.set_dim_value(dim);
  }
  return value;
}

void set(onnx::NodeProto& node, const std::string& name, std::int64_t value) {
  attribute(node, name, onnx::AttributeProto::INT).set_i(value);
}

void set(onnx::NodeProto& node, const std::string& name, const std::vector<std::int64_t>& values) {
  onnx::AttributeProto& added = attribute(node, name, onnx::AttributeProto::INTS);
  for (const std::int64_t value : values) added.add_ints(value);
}

void set(onnx::NodeProto& node, const std::string& name, const onnx::TensorProto& tensor) {
  *attribute(node, name, onnx::AttributeProto::TENSOR).mutable_t() = tensor;
}

onnx::GraphProto& sub_graph(onnx::NodeProto& node, const std::string& name) {
  onnx::GraphProto& graph = *attribute(node, name, onnx::AttributeProto::GRAPH).mutable_g();
  graph.set_name(name);
  return graph;
}

void make_external(onnx::TensorProto& tensor, const std::filesystem::path& file,
                   const std::string& location) {
  std::string content = std::filesystem::exists(file) ? read_file(file) : std::string();
  const std::string offset = std::to_string(content.size());
  const std::string length = std::to_string(tensor.raw_data().size());
  write_file(file, content + tensor.raw_data());
  tensor.clear_raw_data();
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  for (const auto& [key, value] :
       {std::pair{"location", location}, std::pair{"offset", offset}, std::pair{"length", length}}) {
    onnx::StringStringEntryProto& entry = *tensor.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  }
}

HandMadeModel model_of_functions(std::int64_t width) {
  HandMadeModel model;
  model.proto().set_ir_version(8);
  onnx::OperatorSetIdProto& imported = *model.proto().add_opset_import();
  imported.set_domain("local");
  imported.set_version(1);
  const auto function = [&](const std::string& name, const Names& inputs,
                            const std::string& output) -> auto& {
    onnx::FunctionProto& made = *model.proto().add_functions();
    made.set_domain("local");
    made.set_name(name);
    *made.mutable_opset_import() = model.proto().opset_import();
    for (const std::string& input : inputs) made.add_input(input);
    made.add_output(output);
    return made;
  };
  onnx::GraphProto body;
  add_node(body, "MatMul", {"x", "w"}, {"product"});
  add_node(body, "Add", {"product", "b"}, {"y"});
  *function("Linear", {"x", "w", "b"}, "y").mutable_node() = body.node();
  body.clear_node();
  add_node(body, "Linear", {"x", "w", "b"}, {"y"}, "up").set_domain("local");
  add_node(body, "Tanh", {"y"}, {"product"}, "act");
  add_node(body, "Linear", {"product", "v", "b"}, {"out"}, "down").set_domain("local");
  *function("Layer", {"x", "w", "v", "b"}, "out").mutable_node() = body.node();
  model.input("x", {4, width});
  const auto elements = static_cast<std::size_t>(width * width);
  for (unsigned i = 0; i < 4; ++i)
    model.floats("w" + std::to_string(i), {width, width}, noise(elements, 10 + i));
  model.floats("b", {width}, noise(static_cast<std::size_t>(width), 20));
  model.node("Layer", {"x", "w0", "w1", "b"}, {"h"}, "first").set_domain("local");
  model.node("Layer", {"h", "w2", "w3", "b"}, {"y"}, "second").set_domain("local");
  model.output("y");
  return model;
}

std::vector<float> noise(std::size_t count, unsigned seed, float deviation) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution(0.0F, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(random);
  return values;
}

std::vector<float> rounded_to_half(std::vector<float> values) {
  for (float& value : values) value = to_float(to_half(value));
  return values;
}

}  // namespace qvl::test
