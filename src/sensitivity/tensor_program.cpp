#include <fmt/format.h>

#include <algorithm>

#include "core/convert.h"
#include "qvl/error.h"
#include "sensitivity/program.h"
#include "sensitivity/tensor_samples.h"

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

// Rows of logits that count: those that the attention mask leaves, where it has one number a row; else all.
AnswerRows rows_that_count(const Values& inputs) {
  AnswerRows answer{{}, {}, 0};
  const auto mask = inputs.find("attention_mask");
  if (mask == inputs.end()) return answer;
  const TensorView& view = mask->second.view;
  const std::size_t width = size_bytes(view.dtype);
  const std::size_t count = view.bytes.size() / width;
  answer.among = static_cast<std::int64_t>(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto bytes = view.bytes.subspan(i * width, width);
    const bool any = std::ranges::any_of(bytes, [](std::byte b) { return b != std::byte{0}; });
    if (any) answer.rows.push_back(static_cast<std::int64_t>(i));
  }
  return answer;
}

}  // namespace

std::unique_ptr<Program> tensor_program(const std::filesystem::path& model, const std::filesystem::path& data,
                                        std::size_t samples) {
  const TensorSamples files(data, samples);
  auto program = std::make_unique<Program>();
  program->model_name = model.filename().string();
  program->parts.push_back(
      std::make_unique<ModelPart>(model.stem().string(), model, std::unordered_set<std::string>{}));
  program->items.resize(1);
  program->has_logits = program->parts.front()->output() == "logits";
  for (std::size_t i = 0; i < files.size(); ++i) {
    Sample sample;
    sample.name = files.name(i);
    sample.sha256 = files.sha256(i);
    PartItem item{inputs_of(program->parts.front()->graph, sample.name, files.load(i))};
    if (program->has_logits) sample.answer = rows_that_count(item.inputs);
    program->items.front().push_back(std::move(item));
    program->samples.push_back(std::move(sample));
  }
  program->number_units();
  return program;
}

}  // namespace qvl
