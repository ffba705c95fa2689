#include "cli/sensitivity_arguments.h"

#include <fmt/format.h>

#include <vector>

#include "cli/byte_size.h"
#include "sensitivity/run_settings.h"

namespace qvl::cli {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace

void SensitivityArguments::add_to(CLI::App& command) {
  command.add_option("MODEL", options_.model, "An ONNX file, or a model folder written by `qvl export`");
  command.add_option("--data", options_.data,
                     "Model folder: a JSONL file of chats ({\"messages\": [...], \"answer\": ...} a line; "
                     "also ShareGPT's and "
                     "LLaVA's layouts, or a JSON array). ONNX file: "
                     "a folder with one .safetensors or .npz file of named inputs a sample");
  command
      .add_option("--formats", formats_,
                  "int8, int8:B, int4:B (blocks of B), int8-dynamic, int8-static; several with commas")
      ->capture_default_str();
  command.add_option(
      "--output", options_.output,
      "The output by whose error units are ordered (default: logits, else the first of floating "
      "point); the mse of the others is told, too");
  command.add_option("--units", options_.units, "Names with * and ?, several with commas, ! to leave out")
      ->capture_default_str();
  command.add_option("--samples", options_.samples, "Only the first so many samples (0: all)")
      ->check(CLI::NonNegativeNumber);
  command
      .add_option("--method", method_,
                  "exact: every candidate is run to the output; fast: estimates from few runs, checked with "
                  "some units "
                  "drawn by chance; auto: fast for all, exact for the worst, until the head of the ranking "
                  "is settled")
      ->capture_default_str();
  command
      .add_option("--direction", direction_, "in: only the unit is quantized; out: all but the unit; both")
      ->check(CLI::IsMember({"in", "out", "both"}))
      ->capture_default_str();
  command
      .add_option(
          "--criterion", criterion_,
          "What orders the units: kl or mse at the output, or a baseline: nncf-mean-variance, weight-mse, "
          "random")
      ->capture_default_str();
  command
      .add_option("--calibrate", options_.calibrate, "Ranges of int8-static: minmax, percentile:P or entropy")
      ->capture_default_str();
  input_.add_alpha_to(command);
  input_.add_chat_template_to(command);
  command.add_flag("--fused-attention", options_.fused_attention,
                   "qvl's own attention: faster, its numbers differ by rounding (about 1e-4 of a KL)");
  command.add_option("--memory", memory_, "Stay below, e.g. 4GiB (default: what is available)");
  command.add_option("--threads", options_.threads, "Threads (0: one per processor)")
      ->check(CLI::NonNegativeNumber);
}

void SensitivityArguments::apply() {
  options_.formats = split(formats_);
  options_.input = input_.options();
  options_.method = parse_method(method_);
  options_.criterion = parse_criterion(criterion_);
  options_.direction_in = direction_ != "out";
  options_.direction_out = direction_ != "in";
  options_.memory_bytes = memory_.empty() ? 0 : parse_memory_size(memory_, "--memory");
}

}  // namespace qvl::cli
