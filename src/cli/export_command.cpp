#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command.h"
#include "cli/export_arguments.h"
#include "cli/input_arguments.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/progress_line.h"
#include "cli/quantize_result.h"
#include "qvl/export.h"

namespace qvl::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct ExportCommand {
  ExportOptions options;
  std::string set = "reference";
  ArtifactArguments artifacts;
  std::filesystem::path plan;
  bool dry_run = false;
  bool json = false;
  bool quiet = false;
};

OrderedJson to_json(const ExportEstimate& estimate) {
  OrderedJson json;
  for (const PlannedFile& file : estimate.files) {
    OrderedJson entry{{"name", file.name}, {"bytes", file.size_bytes}};
    if (!file.hard_link_of.empty()) entry["hard_link_of"] = file.hard_link_of;
    if (!file.shares_blocks_with.empty()) entry["shares_blocks_with"] = file.shares_blocks_with;
    json["files"].push_back(std::move(entry));
  }
  const auto total = [](std::uint64_t needed, const std::optional<std::uint64_t>& available, bool fits) {
    OrderedJson entry{{"bytes", needed}, {"available", nullptr}, {"fits", fits}};
    if (available) entry["available"] = *available;
    return entry;
  };
  json["disk"] = total(estimate.disk_bytes, estimate.disk_available_bytes, estimate.disk_fits());
  json["memory"] = total(estimate.memory_bytes, estimate.memory_available_bytes, estimate.memory_fits());
  return json;
}

// Prints what an export would take; throws when the machine does not have it.
void estimate(const ExportCommand& arguments) {
  const ExportEstimate estimate = estimate_export(arguments.options);
  std::cout << (arguments.json ? to_json(estimate).dump(1) + "\n" : to_table(estimate));
  std::cout.flush();
  if (!estimate.fits(arguments.options.force_memory)) throw MachineError("the export does not fit");
}

void run_export(ExportCommand& arguments) {
  ExportOptions& options = arguments.options;
  arguments.artifacts.apply_to(options);
  if (options.checkpoint.empty() == options.preset.empty()) {
    throw UsageError("name a checkpoint folder, or a --preset with --dry-run, and not both");
  }
  if (arguments.dry_run && !arguments.plan.empty())
    throw UsageError("--dry-run tells sizes of an export without a plan; leave --plan out");
  options.input.on_warning = print_warning;
  if (arguments.dry_run) return estimate(arguments);
  if (!options.preset.empty()) {
    throw UsageError("--preset has no weights: it goes with --dry-run; `qvl synth` writes such a checkpoint");
  }
  if (arguments.json) throw UsageError("--json belongs to --dry-run; an export prints the paths it wrote");
  if (options.out.empty()) throw UsageError("--out is missing: the model folder to write");
  options.cancel = &cancel_on_signal();
  ProgressBar bar(ProgressLine::on_terminal());
  if (!arguments.quiet) options.progress = &bar;
  if (!arguments.plan.empty()) {
    print_quantized(export_quantized(options, arguments.plan), options.out, false);
    return;
  }
  const ExportResult result = export_checkpoint(options);
  if (result.overflowed > 0) {
    std::cerr << fmt::format(
        "qvl: warning: {} weights are beyond f16's range and were stored as ±65504; manifest.json "
        "says which (--text-dtype f32 keeps them)\n",
        result.overflowed);
  }
  if (result.not_finite > 0) {
    std::cerr << fmt::format(
        "qvl: warning: the checkpoint holds {} infinities or NaNs; manifest.json says in which tensors\n",
        result.not_finite);
  }
  for (const ExportedArtifact& a : result.artifacts) {
    std::cout << (options.out / a.file).string() << "\n";
  }
}

}  // namespace

void add_export(CLI::App& app) {
  auto arguments = std::make_shared<ExportCommand>();
  CLI::App* command = app.add_subcommand("export", "Write a checkpoint's ONNX artifacts into a model folder");
  command->add_option("CHECKPOINT", arguments->options.checkpoint,
                      "Checkpoint folder as on the Hugging Face hub");
  command->add_option("--preset", arguments->options.preset,
                      "With --dry-run, instead of CHECKPOINT: a published size (3b, 7b, 32b, 72b) or tiny");
  command->add_option("--out", arguments->options.out, "Model folder to write; made when missing");
  command->add_option("--set", arguments->set, "Which set of artifacts")
      ->check(CLI::IsMember({"reference"}))
      ->capture_default_str();
  arguments->artifacts.add_to(*command);
  command->add_option(
      "--stem", arguments->options.stem,
      "First part of file names (default: qwen2_5_vl_3b etc., or the checkpoint folder's name)");
  command
      ->add_option("--threads", arguments->options.threads, "Threads (0: one per processor; at most 8 work)")
      ->check(CLI::NonNegativeNumber);
  command->add_option(
      "--plan", arguments->plan,
      "Write quantized artifacts as this plan.json says, as `qvl quantize` would make them of the export; "
      "plans that need no calibration data");
  command->add_flag("--force", arguments->options.force, "Replace artifacts that are there");
  command->add_flag("--force-memory", arguments->options.force_memory,
                    "Go on where memory seems too small: the estimate is an upper bound");
  command->add_flag(
      "--dry-run", arguments->dry_run,
      "Write nothing: print the size of every file, the disk and memory that the export takes and "
      "whether they fit (exit code 4 if not)");
  command->add_flag("--json", arguments->json, "With --dry-run: as JSON");
  command->add_flag("--quiet", arguments->quiet, "No progress on stderr");
  command->footer(
      "Prints the paths of the artifacts. Beside each lies its external data, NAME.onnx_data.\n\n"
      "Example:\n  qvl export Qwen2.5-VL-3B-Instruct --out models/3b\n"
      "  qvl export --preset 72b --dry-run\n"
      "  qvl export demo/shapes-vl --out demo/out --image-size 672 --only vision,text_with_image");
  command->callback([arguments] { run_export(*arguments); });
}

}  // namespace qvl::cli
