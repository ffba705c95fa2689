#include "models/graph_layers.h"

namespace qvl {

Value GraphLayers::weight(const std::string& name) {
  return graph_.weight(name, dtype_, table_.row(name).graph_shape());
}

Value GraphLayers::linear(const Value& x, const std::string& name, std::string_view module, bool bias) {
  const auto scope = graph_.module(module);
  const Value y = graph_.matmul(x, weight(name + ".weight"));
  return bias ? graph_.add(y, weight(name + ".bias")) : y;
}

Value GraphLayers::rms_norm(const Value& x, const std::string& name, std::string_view module,
                            double epsilon) {
  const auto scope = graph_.module(module);
  const Value wide = graph_.cast(x, DType::f32);
  const Value variance = graph_.reduce_mean(graph_.pow(wide, graph_.scalar(2.0F, DType::f32)));
  const Value root =
      graph_.sqrt(graph_.add(variance, graph_.scalar(static_cast<float>(epsilon), DType::f32)));
  return graph_.mul(graph_.cast(graph_.div(wide, root), dtype_), weight(name + ".weight"));
}

Value GraphLayers::gated_mlp(const Value& x, const std::string& name, bool bias) {
  const auto scope = graph_.module("mlp");
  const Value gate = linear(x, name + ".gate_proj", "gate_proj", bias);
  const Value up = linear(x, name + ".up_proj", "up_proj", bias);
  const Value active = [&] {
    const auto silu = graph_.module("act_fn");
    return graph_.mul(gate, graph_.sigmoid(gate));
  }();
  return linear(graph_.mul(active, up), name + ".down_proj", "down_proj", bias);
}

Value GraphLayers::rotate(const Value& x, const Value& cos, const Value& sin) {
  const auto scope = graph_.module("rotary");
  const std::int64_t half = x.shape.back().value() / 2;
  const std::vector<Value> halves = graph_.split(x, {half, half}, -1);
  const Value turned = graph_.concat({graph_.neg(halves[1]), halves[0]}, -1);
  return graph_.add(graph_.mul(x, cos), graph_.mul(turned, sin));
}

Value GraphLayers::softmax(const Value& scores) {
  return graph_.cast(graph_.softmax(graph_.cast(scores, DType::f32)), dtype_);
}

}  // namespace qvl
