#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/byte_size.h"
#include "cli/command.h"
#include "cli/export_arguments.h"
#include "cli/input_arguments.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/progress_line.h"
#include "cli/quantize_result.h"
#include "cli/weight_uses_json.h"
#include "core/json_text.h"
#include "core/text_file.h"
#include "qvl/quantize.h"
#include "replay/kept_weights.h"
#include "replay/unmeasured.h"
#include "sensitivity/run_context.h"

namespace qvl::cli {
namespace {

struct QuantizeCommand {
  QuantizeOptions options;
  InputArguments input;
  std::string smooth;
  std::string memory;
  bool json = false;
  bool quiet = false;
};

double parse_smooth(const std::string& text) {
  if (text.empty()) return 0;
  if (text == "auto") return kSmoothAuto;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end != '\0' || !(value > 0 && value <= 1))
    throw UsageError(fmt::format("--smooth {}: a number above 0 up to 1 is expected, or auto", text));
  return value;
}

// The folder of a report stands for the model that was measured, and for its data.
void take_measured(QuantizeOptions& options) {
  const auto measured = measured_run(options.model);
  if (!measured) return;
  options.model = measured->model;
  const bool is_static = options.plan.empty()
                             ? options.format == "int8-static"
                             : read_text_file(options.plan).find("int8-static") != std::string::npos;
  if (!options.data.empty() || !is_static) return;
  options.data = measured->data;
  options.samples = options.samples > 0 ? options.samples : measured->samples;
}

void run_quantize(QuantizeCommand& arguments) {
  QuantizeOptions& options = arguments.options;
  const bool has_format = !options.plan.empty() || !options.format.empty() || !options.embedding.empty();
  require_given({{"--plan or --format", has_format}, {"--out", !options.out.empty()}});
  take_measured(options);
  options.smooth = parse_smooth(arguments.smooth);
  options.memory_bytes = arguments.memory.empty() ? 0 : parse_memory_size(arguments.memory, "--memory");
  options.input = arguments.input.options();
  options.cancel = &cancel_on_signal();
  ProgressBar bar(ProgressLine::on_terminal());
  if (!arguments.quiet) options.progress = &bar;
  print_quantized(quantize_model(options), options.out, arguments.json);
}

}  // namespace

void print_quantized(const QuantizeResult& result, const std::filesystem::path& folder, bool json) {
  if (json) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const QuantizedFile& file : result.files) {
      out.push_back({{"file", (folder / file.file).string()},
                     {"units", file.units},
                     {"quantized", file.quantized},
                     {"bytes_before", file.bytes_before},
                     {"bytes_after", file.bytes_after},
                     {"unpacked_bytes", file.unpacked_bytes},
                     {"weight_bytes", file.weight_bytes},
                     {"kept", nlohmann::ordered_json::parse(kept_json(file.kept))},
                     {"notes", file.notes}});
      for (const BodyUnits& bodies : file.in_bodies) {
        out.back()["in_bodies"].push_back({{"bodies_of", bodies.op},
                                           {"units", bodies.names.size()},
                                           {"parameters", bodies.parameters},
                                           {"share", bodies.share}});
      }
    }
    using Handler = nlohmann::ordered_json::error_handler_t;
    std::cout << nlohmann::ordered_json{{"files", std::move(out)}}.dump(1, ' ', false, Handler::replace)
              << "\n";
    return;
  }
  for (const QuantizedFile& file : result.files) {
    std::cout << fmt::format("{}: {} of {} units quantized, {} -> {}\n", (folder / file.file).string(),
                             file.quantized, file.units, human_bytes(file.bytes_before),
                             human_bytes(file.bytes_after));
    for (const BodyUnits& bodies : file.in_bodies) std::cout << to_text(bodies, "left as they are") << "\n";
    const std::string kept = describe_kept(file.kept, file.weight_bytes);
    if (!kept.empty()) std::cout << fmt::format("  weights of no unit, kept: {}\n", kept);
    for (const std::string& note : file.notes) std::cout << fmt::format("  note: {}\n", note);
    constexpr std::uint64_t kNoted = std::uint64_t{1} << 30U;
    if (file.unpacked_bytes < kNoted) continue;
    std::cout << fmt::format(
        "{}: int8 weights are unpacked when it is loaded, which takes about {} of memory; int8 without "
        "blocks takes "
        "least, --accuracy-level 4 keeps 8 bits\n",
        (folder / file.file).string(), human_bytes(file.unpacked_bytes));
  }
}

void add_quantize(CLI::App& app) {
  auto arguments = std::make_shared<QuantizeCommand>();
  QuantizeOptions& options = arguments->options;
  CLI::App* command =
      app.add_subcommand("quantize", "Write a quantized twin of a model folder or an ONNX file");
  command
      ->add_option(
          "MODEL", options.model,
          "Model folder, any ONNX file, or the report folder of `qvl sensitivity`: what was measured")
      ->required();
  command->add_option("--plan", options.plan, "plan.json, by `qvl plan` or by hand");
  command->add_option(
      "--format", options.format,
      "Instead of a plan: one format for all units (int8, int8:B, int4:B, int8-dynamic, int8-static)");
  command
      ->add_option("--units", options.units,
                   "With --format: names with * and ?, several with commas, ! to leave out")
      ->capture_default_str();
  command->add_option("--algorithm", options.algorithm, "With --format: nearest, least-squares or gptq")
      ->capture_default_str();
  command->add_option("--embedding", options.embedding,
                      "Format of the table of token embeddings (int8:B, int4:B); alone, or with --format");
  command
      ->add_option(
          "--accuracy-level", options.accuracy_level,
          "With --format: of MatMulNBits. int8: 0 unpacks the weight once, when the model is loaded "
          "(the speed of f32, and its memory once for int8, 3 to 4 times for int8:B); 1 to 3 keep it in 8 "
          "bits (slow), 4 too (fast, but activations are rounded by blocks). "
          "int4: 0 to 3 compute in f32, 4 as above")
      ->check(CLI::Range(0, 4));
  command->add_option(
      "--smooth", arguments->smooth,
      "With --format int8-dynamic or int8-static: SmoothQuant's strength, above 0 to 1, or auto");
  command
      ->add_option("--calibrate", options.calibrate,
                   "With --format int8-static: minmax, percentile:P or entropy")
      ->capture_default_str();
  command->add_option(
      "--data", options.data,
      "Calibration data, as for `qvl sensitivity`: for gptq, int8-static, smoothing, and to weigh "
      "least-squares");
  arguments->input.add_alpha_to(*command);
  arguments->input.add_chat_template_to(*command);
  command->add_option("--samples", options.samples, "The first so many (0: all)")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--out", options.out, "Folder to write; made when missing");
  add_hard_link(*command, options.hard_link);
  command->add_flag("--force", options.force, "Replace what is there");
  command->add_option("--memory", arguments->memory, "With --data: stay below so much (8GiB)");
  command->add_option("--threads", options.threads, "Threads (0: one per processor; at most 8 work)")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--json", arguments->json, "One JSON object instead of lines");
  command->add_flag("--quiet", arguments->quiet, "No progress on stderr");
  command->footer(
      "int4 becomes com.microsoft MatMulNBits, int8 a weight that is unpacked when the model is loaded, "
      "int8-dynamic and\n"
      "int8-static MatMulInteger behind DynamicQuantizeLinear or QuantizeLinear; docs/quantize.md says why. "
      "A folder "
      "stays\n"
      "one that `qvl run` takes.\n\n"
      "Examples:\n"
      "  qvl quantize models/3b --plan plan.json --out models/3b-5bit\n"
      "  qvl quantize models/3b --format int4:32 --embedding int8:32 --out models/3b-int4\n"
      "  qvl quantize resnet.onnx --format int8-static --data tensors/ --out quantized");
  command->callback([arguments] { run_quantize(*arguments); });
}

}  // namespace qvl::cli
