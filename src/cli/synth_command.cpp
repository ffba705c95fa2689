#include <iostream>
#include <memory>
#include <vector>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/progress_line.h"
#include "models/family.h"
#include "synth/synthesize.h"

namespace qvl::cli {
namespace {

struct SynthCommand {
  SynthOptions options;
  std::string dtype = "bf16";
  bool quiet = false;
};

void run_synth(SynthCommand& arguments) {
  SynthOptions& options = arguments.options;
  options.dtype = arguments.dtype == "f32" ? DType::f32 : arguments.dtype == "f16" ? DType::f16 : DType::bf16;
  options.cancel = &cancel_on_signal();
  ProgressBar bar(ProgressLine::on_terminal());
  if (!arguments.quiet) options.progress = &bar;
  synthesize_checkpoint(options);
  std::cout << options.out.string() << "\n";
}

}  // namespace

void add_synth(CLI::App& app) {
  auto arguments = std::make_shared<SynthCommand>();
  SynthOptions& options = arguments->options;
  std::vector<std::string> names;
  for (const FamilyPreset& known : presets()) names.emplace_back(known.preset.name);
  CLI::App* command =
      app.add_subcommand("synth", "Write a checkpoint of a published shape with random weights");
  command->add_option("--preset", options.preset, "The shape")->required()->check(CLI::IsMember(names));
  command->add_option("--out", options.out, "Checkpoint folder to write; made when missing")->required();
  command
      ->add_option("--layers", options.layers,
                   "Only so many decoder layers: the true widths on a disk that is too small for all")
      ->check(CLI::PositiveNumber);
  command->add_option("--seed", options.seed, "Another seed gives other weights")->capture_default_str();
  command->add_option("--dtype", arguments->dtype, "Type of the weights")
      ->check(CLI::IsMember({"bf16", "f16", "f32"}))
      ->capture_default_str();
  command
      ->add_option("--shards", options.shards,
                   "Number of weight files, of about equal size (default: as many as 5 GB a file ask for)")
      ->check(CLI::PositiveNumber);
  command->add_option("--tokenizer", options.tokenizer,
                      "A tokenizer.json to copy (default: a small one that has a token for each byte)");
  command->add_option("--threads", options.threads, "Threads (0: one per processor; at most 8 work)")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--force", options.force, "Replace a checkpoint that is there, with all its weights");
  command->add_flag("--quiet", arguments->quiet, "No progress on stderr");
  command->footer(
      "Prints the folder. It holds what a folder of the Hugging Face hub holds, tensor names and shards "
      "too;\n"
      "answers of such a model mean nothing, its sizes and times are the true ones. The same preset, seed,\n"
      "dtype and number of shards give the same bytes on any machine.\n\n"
      "Example:\n  qvl synth --preset tiny --out /tmp/tiny\n"
      "  qvl synth --preset 3b --out checkpoints/random-3b --tokenizer "
      "Qwen2.5-VL-3B-Instruct/tokenizer.json");
  command->callback([arguments] { run_synth(*arguments); });
}

}  // namespace qvl::cli
