#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_writer.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "core/output_file.h"
#include "runtime/session.h"

namespace qvl::cli {
namespace {

struct Arguments {
  std::filesystem::path model;
  std::filesystem::path inputs;
  std::filesystem::path outputs;
  std::string provider = "cpu";
  int threads = 0;
};

void run(const Arguments& arguments) {
  const CancelToken& cancel = cancel_on_signal();
  (void)output_place(arguments.outputs);
  for (const auto& input : {arguments.model, arguments.inputs}) {
    std::error_code error;
    if (std::filesystem::equivalent(input, arguments.outputs, error) && !error) {
      throw UsageError(fmt::format("--outputs {} is an input itself", arguments.outputs.string()));
    }
  }
  const SafetensorsFile file(arguments.inputs);
  SessionOptions options;
  options.provider = *provider_from_name(arguments.provider);
  options.threads = arguments.threads;
  const Session session(arguments.model, options);
  std::vector<NamedTensor> inputs;
  for (const TensorEntry& entry : file.entries()) inputs.push_back({entry.name, file.tensor(entry)});
  for (const NamedTensor& given : inputs) {
    const auto takes = [&](const TensorInfo& input) { return input.name == given.name; };
    if (std::ranges::none_of(session.inputs(), takes)) {
      throw InputError(fmt::format("{} has a tensor {}, which is no input of the model",
                                   arguments.inputs.string(), given.name));
    }
  }
  for (const TensorInfo& wanted : session.inputs()) {
    if (file.find(wanted.name) == nullptr) {
      throw InputError(fmt::format("{} has no tensor {}; the model's input {} is expected",
                                   arguments.inputs.string(), wanted.name, to_string(wanted)));
    }
  }
  const std::vector<OutputTensor> results = session.run(inputs, {}, &cancel);
  std::vector<NamedTensor> outputs;
  for (std::size_t i = 0; i < results.size(); ++i)
    outputs.push_back({session.outputs()[i].name, results[i].view()});
  write_safetensors(arguments.outputs, outputs);
  for (const NamedTensor& output : outputs) {
    std::cout << fmt::format("{} {} {}\n", output.name, name(output.tensor.dtype),
                             to_string(output.tensor.shape));
  }
}

}  // namespace

void add_infer(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("infer", "Run any ONNX file on named tensors");
  command->add_option("MODEL", arguments->model, "ONNX file")->required();
  command->add_option("--inputs", arguments->inputs, "safetensors file with a tensor for every input")
      ->required();
  command->add_option("--outputs", arguments->outputs, "safetensors file to write")->required();
  command->add_option("--provider", arguments->provider, "Where to run")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  command->add_option("--threads", arguments->threads, "Threads (0: one per processor)")
      ->check(CLI::NonNegativeNumber);
  command->footer(
      "Prints name, dtype and shape of every output.\n\n"
      "Example:\n  qvl infer demo/out/shapes_vl_text_fp16.onnx --inputs in.safetensors --outputs "
      "out.safetensors");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace qvl::cli
