#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <memory>

#include "checkpoint/safetensors_writer.h"
#include "checkpoint/tensor_file.h"
#include "checkpoint/tensor_output.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "runtime/session.h"

namespace qvl::cli {
namespace {

struct InferCommand {
  std::filesystem::path model;
  std::filesystem::path inputs;
  std::filesystem::path outputs;
  std::string provider = "cpu";
  int threads = 0;
};

void run_infer(const InferCommand& arguments) {
  const CancelToken& cancel = cancel_on_signal();
  require_result_place(arguments.outputs, "--outputs", std::array{arguments.model, arguments.inputs});
  if (arguments.outputs.extension() == ".npz") {
    throw UsageError(
        fmt::format("--outputs {}: safetensors is what is written; a name that ends in .safetensors is "
                    "expected",
                    arguments.outputs.string()));
  }
  const auto given = read_tensor_file(arguments.inputs);
  SessionOptions options;
  options.provider = *provider_from_name(arguments.provider);
  options.threads = arguments.threads;
  const Session session(arguments.model, options);
  std::vector<NamedTensor> inputs;
  for (const auto& [name, tensor] : given) {
    inputs.push_back({name, tensor.view()});
    if (std::ranges::find(session.inputs(), name, &TensorInfo::name) == session.inputs().end()) {
      throw InputError(
          fmt::format("{} has a tensor {}, which is no input of the model", arguments.inputs.string(), name));
    }
  }
  for (const TensorInfo& wanted : session.inputs()) {
    if (std::ranges::find(inputs, wanted.name, &NamedTensor::name) == inputs.end()) {
      throw InputError(fmt::format("{} has no tensor {}; the model's input {} is expected",
                                   arguments.inputs.string(), wanted.name, to_string(wanted)));
    }
  }
  const std::vector<OutputTensor> results = session.run(inputs, {}, &cancel);
  std::vector<NamedTensor> outputs;
  for (std::size_t i = 0; i < results.size(); ++i)
    outputs.push_back({session.outputs()[i].name, results[i].view()});
  write_safetensors(arguments.outputs, outputs, result_metadata());
  for (const NamedTensor& output : outputs) {
    std::cout << fmt::format("{} {} {}\n", output.name, name(output.tensor.dtype),
                             to_string(output.tensor.shape));
  }
}

}  // namespace

void add_infer(CLI::App& app) {
  auto arguments = std::make_shared<InferCommand>();
  CLI::App* command = app.add_subcommand("infer", "Run any ONNX file on named tensors");
  command->add_option("MODEL", arguments->model, "ONNX file")->required();
  command->add_option("--inputs", arguments->inputs, "safetensors or .npz file with a tensor for every input")
      ->required();
  command
      ->add_option("--outputs", arguments->outputs,
                   "safetensors file to write; only a former result is replaced")
      ->required();
  command->add_option("--provider", arguments->provider, "Where to run")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  command->add_option("--threads", arguments->threads, "Threads (0: one per processor)")
      ->check(CLI::NonNegativeNumber);
  command->footer(
      "Prints name, dtype and shape of every output.\n\n"
      "Example:\n  qvl infer demo/out/shapes_vl_text_fp16.onnx --inputs in.safetensors --outputs "
      "out.safetensors");
  command->callback([arguments] { run_infer(*arguments); });
}

}  // namespace qvl::cli
