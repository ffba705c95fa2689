#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/convert.h"
#include "qvl/error.h"
#include "replay/draws.h"
#include "replay/fixed_branches.h"
#include "replay/program.h"
#include "replay/tensor_samples.h"

namespace qvl {
namespace {

bool fits(const ModelGraph::Port& port, const Tensor& tensor) {
  if (tensor.shape().size() != port.shape.size() && !port.shape.empty()) return false;
  for (std::size_t i = 0; i < port.shape.size(); ++i) {
    if (port.shape[i] >= 0 && port.shape[i] != tensor.shape()[i]) return false;
  }
  return true;
}

std::string describe(const ModelGraph::Port& port) {
  std::string text = port.dtype ? std::string(name(*port.dtype)) : "of another type";
  text += " [";
  for (std::size_t i = 0; i < port.shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + (port.shape[i] < 0 ? "?" : std::to_string(port.shape[i]));
  return text + "]";
}

Tensor widened(Tensor tensor) {
  if (tensor.dtype() != DType::f16 && tensor.dtype() != DType::bf16) return tensor;
  Tensor wide(DType::f32, tensor.shape());
  convert(tensor.dtype(), tensor.bytes(), DType::f32, wide.bytes());
  return wide;
}

Values inputs_of(const ModelGraph& graph, const std::string& sample,
                 std::vector<std::pair<std::string, Tensor>> tensors) {
  Values values;
  for (const auto& [name, tensor] : tensors) {
    if (!graph.has_default(name)) continue;
    throw InputError(fmt::format(
        "{} gives {}, for which {} has a value of its own: qvl takes that for constant; leave {} out "
        "of the samples, or remove its initializer from the model",
        sample, name, graph.path().filename().string(), name));
  }
  for (const ModelGraph::Port& port : graph.inputs()) {
    const auto found = std::ranges::find(tensors, port.name, [](const auto& pair) { return pair.first; });
    if (found == tensors.end()) {
      throw InputError(fmt::format("{} has no tensor {}; {} takes it as {}", sample, port.name,
                                   graph.path().filename().string(), describe(port)));
    }
    Tensor tensor = widened(std::move(found->second));
    if (port.dtype != tensor.dtype() || !fits(port, tensor)) {
      throw InputError(fmt::format("{}: {} is {} {}; {} takes {}", sample, port.name, name(tensor.dtype()),
                                   to_string(tensor.shape()), graph.path().filename().string(),
                                   describe(port)));
    }
    values.emplace(port.name, HeldTensor::of(std::move(tensor)));
  }
  return values;
}

std::vector<double> numbers_of(const TensorView& view) {
  const std::size_t width = size_bytes(view.dtype);
  std::vector<double> numbers(view.bytes.size() / width);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::byte* const place = view.bytes.data() + i * width;
    if (view.dtype == DType::f32) {
      float number = 0;
      std::memcpy(&number, place, width);
      numbers[i] = number;
    } else if (view.dtype == DType::f64) {
      std::memcpy(&numbers[i], place, width);
    } else {
      numbers[i] = std::any_of(place, place + width, [](std::byte b) { return b != std::byte{0}; }) ? 1 : 0;
    }
  }
  return numbers;
}

// Rows of logits that count: those that the attention mask leaves, where it has one number a row; else all. A
// mask of floating point with numbers below 0, or with zeros only, is one that is added to scores: 0 leaves a
// row, -10000 or less takes it out. Others leave what is not 0.
AnswerRows rows_that_count(const Values& inputs) {
  AnswerRows answer{{}, {}, 0};
  const auto mask = inputs.find("attention_mask");
  if (mask == inputs.end()) return answer;
  const std::vector<double> numbers = numbers_of(mask->second.view);
  answer.among = static_cast<std::int64_t>(numbers.size());
  const auto [least, most] = std::ranges::minmax_element(numbers);
  const bool added =
      !numbers.empty() && is_floating(mask->second.view.dtype) && (*least < 0 || (*least == 0 && *most == 0));
  // Biases that only weigh scores (-0.5) take no row out.
  constexpr double kOut = -100;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (added ? numbers[i] > kOut : numbers[i] != 0) answer.rows.push_back(static_cast<std::int64_t>(i));
  }
  return answer;
}

std::unordered_set<std::string> names_of(const std::vector<Unit>& units) {
  std::unordered_set<std::string> names;
  for (const Unit& unit : units) names.insert(unit.name);
  return names;
}

bool has_branches(const ModelGraph& graph) {
  return std::ranges::find(graph.nodes(), "If", &ModelGraph::Node::op) != graph.nodes().end();
}

}  // namespace

std::unique_ptr<Program> tensor_program(const std::filesystem::path& model, const std::filesystem::path& data,
                                        std::size_t samples, const std::string& output) {
  const TensorSamples files(data, samples);
  auto program = std::make_unique<Program>();
  program->model_name = model.filename().string();
  ModelGraph graph(model);
  require_drawable(graph);
  std::vector<Values> inputs;
  for (std::size_t i = 0; i < files.size(); ++i) {
    inputs.push_back(inputs_of(graph, files.name(i), files.load(i)));
    inputs.back().merge(draw_once(graph, inputs.back(), files.sha256(i)));
  }
  if (has_branches(graph)) program->fixed = branches_fixed_by(model, inputs);
  std::unordered_set<std::string> outside;  // units that lie in no branch
  if (!program->fixed.empty()) {
    outside = names_of(find_units(graph));
    graph = ModelGraph(model, program->fixed);
  }
  program->parts.push_back(std::make_unique<ModelPart>(model.stem().string(), std::move(graph),
                                                       std::unordered_set<std::string>{}, output));
  ModelPart& part = *program->parts.front();
  for (const Unit& unit : part.units) {
    if (!program->fixed.empty() && !outside.contains(unit.name)) part.in_body.insert(unit.name);
  }
  program->items.resize(1);
  program->has_logits = part.compared.metric == "logits";
  for (std::size_t i = 0; i < files.size(); ++i) {
    Sample sample;
    sample.name = files.name(i);
    sample.sha256 = files.sha256(i);
    PartItem item{std::move(inputs[i])};
    if (program->has_logits) sample.answer = rows_that_count(item.inputs);
    program->items.front().push_back(std::move(item));
    program->samples.push_back(std::move(sample));
  }
  program->number_units();
  return program;
}

}  // namespace qvl
