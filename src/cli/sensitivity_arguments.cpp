#include "cli/sensitivity_arguments.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

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

// "4GiB", "500MB", "1000000"
std::uint64_t parse_bytes(const std::string& text) {
  if (text.empty()) return 0;
  std::size_t used = 0;
  double number = 0;
  try {
    number = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  const std::string unit = text.substr(used);
  const std::vector<std::pair<std::string, double>> units{
      {"", 1},     {"B", 1},        {"kB", 1e3},        {"MB", 1e6},
      {"GB", 1e9}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
  for (const auto& [name, factor] : units) {
    if (used > 0 && unit == name && number > 0 && number * factor < 1e18)
      return static_cast<std::uint64_t>(number * factor);
  }
  throw UsageError(fmt::format("--memory {}: a size such as 4GiB or 500MB is expected", text));
}

}  // namespace

void SensitivityArguments::add_to(CLI::App& command) {
  command.add_option("MODEL", options_.model, "An ONNX file, or a model folder written by `qvl export`");
  command.add_option(
      "--data", options_.data,
      "Model folder: a JSONL file of chats ({\"messages\": [...], \"answer\": ...} a line). ONNX file: "
      "a folder with one .safetensors or .npz file of named inputs a sample");
  command
      .add_option("--formats", formats_,
                  "int8, int8:B, int4:B (blocks of B), int8-dynamic, int8-static; several with commas")
      ->capture_default_str();
  command.add_option("--units", options_.units, "Names with * and ?, several with commas, ! to leave out")
      ->capture_default_str();
  command.add_option("--samples", options_.samples, "Only the first so many samples (0: all)")
      ->check(CLI::NonNegativeNumber);
  command
      .add_option(
          "--method", method_,
          "exact: every candidate is run to the output; fast: errors in its block times a fitted gain; auto: "
          "fast for all, exact for the worst")
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
  command.add_flag("--fused-attention", options_.fused_attention,
                   "qvl's own attention: faster, its numbers differ by rounding (about 1e-4 of a KL)");
  command.add_option("--memory", memory_, "Stay below, e.g. 4GiB (default: what is available)");
  command.add_option("--threads", options_.threads, "Threads (0: one per processor)")
      ->check(CLI::NonNegativeNumber);
}

void SensitivityArguments::apply() {
  options_.formats = split(formats_);
  options_.method = parse_method(method_);
  options_.criterion = parse_criterion(criterion_);
  options_.direction_in = direction_ != "out";
  options_.direction_out = direction_ != "in";
  options_.memory_bytes = parse_bytes(memory_);
}

}  // namespace qvl::cli
