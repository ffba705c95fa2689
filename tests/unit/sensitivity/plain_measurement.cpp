#include "unit/sensitivity/plain_measurement.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <stdexcept>

#include "support/hand_made_model.h"

namespace qvl::test {
namespace {

std::vector<float> floats_in(const onnx::TensorProto& tensor) {
  if (tensor.data_type() != onnx::TensorProto::FLOAT || !tensor.has_raw_data())
    throw std::runtime_error(tensor.name() + " is not raw f32");
  std::vector<float> values(tensor.raw_data().size() / sizeof(float));
  std::memcpy(values.data(), tensor.raw_data().data(), tensor.raw_data().size());
  return values;
}

Shape shape_of(const onnx::TensorProto& tensor) { return {tensor.dims().begin(), tensor.dims().end()}; }

bool is_turned(const onnx::NodeProto& node) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.name() == "transB") return attribute.i() != 0;
  }
  return false;
}

// Where the weights of each output channel are.
std::vector<std::vector<std::size_t>> channels_of(const Shape& shape, const std::string& op, bool turned) {
  std::size_t count = 1;
  for (const std::int64_t dim : shape) count *= static_cast<std::size_t>(dim);
  std::size_t channels = static_cast<std::size_t>(shape.front());
  std::function<std::size_t(std::size_t)> channel_of = [&](std::size_t i) { return i / (count / channels); };
  if (op == "MatMul" || (op == "Gemm" && !turned)) {
    const bool vector = shape.size() == 1;  // one output channel
    const auto columns = vector ? std::size_t{1} : static_cast<std::size_t>(shape.back());
    const auto depth = static_cast<std::size_t>(vector ? shape.front() : shape[shape.size() - 2]);
    channels = count / depth;
    channel_of = [=](std::size_t i) { return i / (depth * columns) * columns + i % columns; };
  }
  std::vector<std::vector<std::size_t>> places(channels);
  for (std::size_t i = 0; i < count; ++i) places[channel_of(i)].push_back(i);
  return places;
}

std::vector<float> rounded_channel(const std::vector<float>& w) {
  float most = 0;
  for (const float v : w) most = std::max(most, std::fabs(v));
  const float scale = most > 0 ? most / 127.0F : 1.0F;
  std::vector<float> rounded;
  for (const float v : w)
    rounded.push_back(std::min(127.0F, std::max(-127.0F, std::nearbyint(v / scale))) * scale);
  return rounded;
}

std::vector<float> rounded_block(const std::vector<float>& w, int bits) {
  float most = 0;
  for (const float v : w) {
    if (std::fabs(v) > std::fabs(most) || (std::fabs(v) == std::fabs(most) && v < most)) most = v;
  }
  const auto half = static_cast<float>(1 << (bits - 1));
  const float scale = most != 0 ? most / -half : 1.0F;
  std::vector<float> rounded;
  for (const float v : w) {
    const float code = std::round(v * (1.0F / scale) + half);
    rounded.push_back((std::min(2 * half - 1, std::max(0.0F, code)) - half) * scale);
  }
  return rounded;
}

// The outer edges of numbers whose upper 16 bits are the same.
float outwards(float value, bool up) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const bool away_from_zero = up != std::signbit(value);
  return std::bit_cast<float>(away_from_zero ? bits | 0xFFFFU : bits & 0xFFFF0000U);
}

double percentile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(place));
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - std::floor(place)) * (values[above] - values[below]);
}

std::vector<double> log_softmax(const float* logits, std::size_t width) {
  const double most = *std::max_element(logits, logits + width);
  double sum = 0;
  for (std::size_t i = 0; i < width; ++i) sum += std::exp(logits[i] - most);
  std::vector<double> values;
  for (std::size_t i = 0; i < width; ++i) values.push_back(logits[i] - most - std::log(sum));
  return values;
}

}  // namespace

std::vector<float> plainly_quantized(const std::vector<float>& weight, const Shape& shape,
                                     const std::string& op, bool turned, const std::string& format) {
  const std::size_t colon = format.find(':');
  std::vector<float> result(weight.size());
  for (const std::vector<std::size_t>& places : channels_of(shape, op, turned)) {
    const std::size_t block =
        colon == std::string::npos ? places.size() : std::stoul(format.substr(colon + 1));
    for (std::size_t first = 0; first < places.size(); first += block) {
      std::vector<float> part;
      for (std::size_t k = first; k < std::min(first + block, places.size()); ++k)
        part.push_back(weight[places[k]]);
      part = colon == std::string::npos ? rounded_channel(part) : rounded_block(part, format[3] - '0');
      for (std::size_t k = 0; k < part.size(); ++k) result[places[first + k]] = part[k];
    }
  }
  return result;
}

PlainMeasurement::PlainMeasurement(onnx::ModelProto model, std::filesystem::path place,
                                   std::vector<std::string> units, std::vector<Sample> samples)
    : model_(std::move(model)),
      place_(std::move(place)),
      units_(std::move(units)),
      samples_(std::move(samples)),
      output_(model_.graph().output(0).name()) {
  std::vector<std::string> outputs;
  for (const std::string& unit : units_) outputs.push_back(node(unit).output(0));
  plain_ = run({}, {});
  plain_inside_ = run({}, outputs);
}

const onnx::NodeProto& PlainMeasurement::node(const std::string& unit) const {
  for (const onnx::NodeProto& node : model_.graph().node()) {
    if (node.name() == unit) return node;
  }
  throw std::runtime_error("no node " + unit);
}

const onnx::TensorProto& PlainMeasurement::weight(const std::string& unit) const {
  for (const onnx::TensorProto& tensor : model_.graph().initializer()) {
    if (tensor.name() == node(unit).input(1)) return tensor;
  }
  throw std::runtime_error("no weight of " + unit);
}

std::vector<float> PlainMeasurement::quantized(const std::string& unit, const std::string& format) const {
  return plainly_quantized(floats_in(weight(unit)), shape_of(weight(unit)), node(unit).op_type(),
                           is_turned(node(unit)), format);
}

std::vector<Tensors> PlainMeasurement::run(const Assignment& assignment,
                                           const std::vector<std::string>& more) const {
  onnx::ModelProto model = model_;
  onnx::GraphProto& graph = *model.mutable_graph();
  const auto nodes = graph.node();
  graph.clear_node();
  for (onnx::NodeProto node : nodes) {
    const auto found = assignment.find(node.name());
    if (found != assignment.end()) {
      const std::string stem = node.name() + " quantized ";
      *graph.add_initializer() =
          float_tensor(stem + "weight", shape_of(weight(node.name())), quantized(node.name(), found->second));
      node.set_input(1, stem + "weight");
      Names parts{stem + "q", stem + "scale", stem + "zero point"};
      if (found->second == "int8-dynamic") {
        add_node(graph, "DynamicQuantizeLinear", {node.input(0)}, parts);
      } else if (found->second == "int8-static") {
        const Range& range = ranges_.at(node.name());
        *graph.add_initializer() = float_tensor(parts[1], {}, {range.scale});
        onnx::TensorProto& zero_point = *graph.add_initializer();
        zero_point.set_name(parts[2]);
        zero_point.set_data_type(onnx::TensorProto::UINT8);
        zero_point.add_int32_data(range.zero_point);
        add_node(graph, "QuantizeLinear", {node.input(0), parts[1], parts[2]}, {parts[0]});
      }
      if (found->second.starts_with("int8-")) {
        add_node(graph, "DequantizeLinear", parts, {stem + "input"});
        node.set_input(0, stem + "input");
      }
    }
    *graph.add_node() = node;
  }
  Names outputs{output_};
  for (const std::string& value : more) {
    if (std::ranges::find(outputs, value) != outputs.end()) continue;
    graph.add_output()->set_name(value);
    outputs.push_back(value);
  }
  const std::string bytes = model.SerializeAsString();
  std::vector<Tensors> results;
  for (const Sample& sample : samples_)
    results.push_back(run_model(bytes, place_, sample.inputs, outputs, true));
  return results;
}

void PlainMeasurement::calibrate(const std::string& rule) {
  std::vector<std::string> inputs;
  for (const std::string& unit : units_) {
    if (!samples_.front().inputs.contains(node(unit).input(0))) inputs.push_back(node(unit).input(0));
  }
  std::vector<Tensors> seen = run({}, inputs);
  for (std::size_t s = 0; s < samples_.size(); ++s)
    seen[s].insert(samples_[s].inputs.begin(), samples_[s].inputs.end());
  const double kept = rule == "minmax" ? 100 : std::stod(rule.substr(rule.find(':') + 1));
  for (const std::string& unit : units_) {
    std::vector<float> values;
    for (const Tensors& sample : seen) {
      const auto own = values_of(sample.at(node(unit).input(0)));
      values.insert(values.end(), own.begin(), own.end());
    }
    std::ranges::sort(values);
    float least = values.front();
    float most = values.back();
    if (rule != "minmax") {
      const auto cut = static_cast<std::size_t>(static_cast<double>(values.size()) * (100 - kept) / 200);
      least = std::max(least, outwards(values[cut], false));
      most = std::min(most, outwards(values[values.size() - 1 - cut], true));
    }
    least = std::min(least, 0.0F);
    most = std::max(most, 0.0F);
    const float scale = (most - least) / 255.0F;
    ranges_[unit] = {scale, static_cast<std::uint8_t>(std::nearbyint(-least / scale))};
  }
}

OutputError PlainMeasurement::output_error(const Assignment& assignment) const {
  double squared = 0;
  double count = 0;
  double same = 0;
  std::vector<double> kl;
  const std::vector<Tensors> quantized = run(assignment, {});
  for (std::size_t s = 0; s < samples_.size(); ++s) {
    const std::vector<float> a = values_of(plain_[s].at(output_));
    const std::vector<float> b = values_of(quantized[s].at(output_));
    const auto width = static_cast<std::size_t>(plain_[s].at(output_).shape().back());
    for (std::size_t i = 0; i < a.size(); ++i) {
      squared += std::pow(static_cast<double>(b[i]) - static_cast<double>(a[i]), 2);
      count += 1;
    }
    for (const std::size_t row : samples_[s].rows) {
      const std::vector<double> p = log_softmax(&a[row * width], width);
      const std::vector<double> q = log_softmax(&b[row * width], width);
      double sum = 0;
      for (std::size_t i = 0; i < width; ++i) sum += std::exp(p[i]) * (p[i] - q[i]);
      kl.push_back(sum);
      same += std::ranges::max_element(p) - p.begin() == std::ranges::max_element(q) - q.begin() ? 1 : 0;
    }
  }
  OutputError error;
  error.mse = squared / count;
  if (kl.empty()) return error;
  const auto positions = static_cast<double>(kl.size());
  double mean = 0;
  for (const double one : kl) mean += one / positions;
  double variance = 0;
  for (const double one : kl) variance += (one - mean) * (one - mean) / (positions - 1);
  error.kl = mean;
  error.kl_stderr = std::sqrt(variance / positions);
  error.kl_median = percentile(kl, 0.5);
  error.kl_p99 = percentile(kl, 0.99);
  error.top1 = same / positions;
  return error;
}

LocalError PlainMeasurement::local_error(const std::string& unit, const std::string& format) const {
  const std::string output = node(unit).output(0);
  const std::vector<Tensors> quantized = run({{unit, format}}, {output});
  double difference = 0;
  double plain = 0;
  double other = 0;
  double product = 0;
  for (std::size_t s = 0; s < samples_.size(); ++s) {
    const std::vector<float> a = values_of(plain_inside_[s].at(output));
    const std::vector<float> b = values_of(quantized[s].at(output));
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double x = a[i];
      const double y = b[i];
      difference += (y - x) * (y - x);
      plain += x * x;
      other += y * y;
      product += x * y;
    }
  }
  LocalError error;
  error.relative_error = std::sqrt(difference) / std::sqrt(plain);
  error.sqnr_db = 10 * std::log10(plain / difference);
  error.cosine = product / std::sqrt(plain * other);
  return error;
}

double PlainMeasurement::weight_mse(const std::string& unit, const std::string& format) const {
  const std::vector<float> a = floats_in(weight(unit));
  const std::vector<float> b = quantized(unit, format);
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(b[i]) - a[i], 2);
  return sum / static_cast<double>(a.size());
}

std::pair<std::int64_t, std::int64_t> PlainMeasurement::rows_and_depth(const std::string& unit) const {
  const auto channels = channels_of(shape_of(weight(unit)), node(unit).op_type(), is_turned(node(unit)));
  return {static_cast<std::int64_t>(channels.size()), static_cast<std::int64_t>(channels.front().size())};
}

}  // namespace qvl::test
