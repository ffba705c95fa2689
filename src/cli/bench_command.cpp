#include <fmt/format.h>

#include <map>
#include <memory>

#include "cli/bench_report.h"
#include "cli/command.h"
#include "cli/export_arguments.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/progress_line.h"
#include "cli/source.h"
#include "engine/session_defaults.h"

namespace qvl::cli {
namespace {

// Options of every bench.
struct CommonArguments {
  RunOptions runs;
  double limits_seconds = 1;
  bool json = false;
  bool quiet = false;
  ProgressBar bar{ProgressLine::on_terminal()};

  [[nodiscard]] ReportFormat format() const { return json ? ReportFormat::json : ReportFormat::tables; }

  RunOptions start() {
    runs.cancel = &cancel_on_signal();
    if (!quiet) runs.progress = &bar;
    return runs;
  }

  void add_to(CLI::App& command) {
    command.add_option("--runs", runs.runs, "Runs that count")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    command.add_option("--warm-up", runs.warm_up, "Runs before them that do not")
        ->check(CLI::Range(0, 10'000))
        ->capture_default_str();
    command
        .add_option("--limits-seconds", limits_seconds,
                    "Time for each limit of the machine, before and after the runs (below 0.1 for tests "
                    "only); 0: none is measured")
        ->check(CLI::Range(0.0, 60.0))
        ->capture_default_str();
    command.add_flag("--json", json, "One JSON object instead of tables");
    command.add_flag("--quiet", quiet, "No progress on stderr");
  }
};

struct ExportArguments {
  CommonArguments common;
  ExportBenchOptions options;
  ArtifactArguments artifacts;
};

void run_export(ExportArguments& arguments) {
  ExportOptions& options = arguments.options.export_options;
  arguments.artifacts.apply_to(options);
  arguments.options.runs = arguments.common.start();
  arguments.options.limits_seconds = arguments.common.limits_seconds;
  report_export(arguments.options, bench_export(arguments.options), arguments.common.format());
}

void add_bench_export(CLI::App& bench) {
  auto arguments = std::make_shared<ExportArguments>();
  CLI::App* command = bench.add_subcommand("export", "An export, beside cp of the files that it writes");
  ExportOptions& options = arguments->options.export_options;
  command->add_option("CHECKPOINT", options.checkpoint, "Checkpoint folder as on the Hugging Face hub")
      ->required();
  command->add_option(
      "--out", arguments->options.folder,
      "Where to write, in a hidden folder that is removed again (default: beside the checkpoint)");
  arguments->artifacts.add_to(*command)->allow_extra_args(false);
  command->add_flag("--force-memory", options.force_memory, "As of qvl export");
  command->add_option("--threads", options.threads, "As of qvl export")->check(CLI::NonNegativeNumber);
  arguments->common.add_to(*command);
  command->footer(
      "Each run is an export by a process of its own, then cp of its files; both at once must fit the "
      "disk.\n\n"
      "Example:\n  qvl bench export Qwen2.5-VL-3B-Instruct --out /data/scratch --runs 5");
  command->callback([arguments] { run_export(*arguments); });
}

// Options of `vision` and `text`.
struct ModelArguments {
  CommonArguments common;
  ModelBenchOptions options;
  std::string optimization = "all";
  std::vector<std::string> config;
  bool no_prepacking = false;
  bool no_arena = false;

  ModelArguments() { options.session = engine_session_options(Provider::cpu, 0); }

  ModelBenchOptions& start() {
    static const std::map<std::string, GraphOptimization> kLevels{{"none", GraphOptimization::none},
                                                                  {"basic", GraphOptimization::basic},
                                                                  {"extended", GraphOptimization::extended},
                                                                  {"all", GraphOptimization::all}};
    SessionOptions& session = options.session;
    session.optimization = kLevels.at(optimization);
    session.memory_arena = !no_arena;
    if (no_prepacking) session.config.emplace_back("session.disable_prepacking", "1");
    for (const std::string& entry : config) {
      const std::size_t equals = entry.find('=');
      if (equals == std::string::npos || equals == 0) {
        throw UsageError(fmt::format("--config {}; KEY=VALUE is expected", entry));
      }
      session.config.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
    }
    options.runs = common.start();
    options.limits_seconds = common.limits_seconds;
    return options;
  }

  void add_to(CLI::App& command) {
    command.add_option("FOLDER", options.folder, "Model folder written by `qvl export`")->required();
    command.add_option("--threads", options.session.threads, "Threads (0: one per processor)")
        ->check(CLI::NonNegativeNumber);
    command.add_option("--optimization", optimization, "What ONNX Runtime may rewrite in the graph")
        ->check(CLI::IsMember({"none", "basic", "extended", "all"}))
        ->capture_default_str();
    command.add_flag("--no-prepacking", no_prepacking, "The same as --config session.disable_prepacking=1");
    command.add_flag("--no-arena", no_arena, "Give memory back after every run");
    command.add_flag("--memory-pattern", options.session.memory_pattern, "Plan a run's memory in one block");
    command
        .add_option("--config", config,
                    "KEY=VALUE, an entry of ONNX Runtime's session; repeat it for several")
        ->take_all()
        ->expected(1)
        ->allow_extra_args(false);
    common.add_to(command);
  }
};

void add_bench_vision(CLI::App& bench) {
  auto arguments = std::make_shared<ModelArguments>();
  CLI::App* command = bench.add_subcommand("vision", "The vision artifact on a picture made for it");
  arguments->add_to(*command);
  command->footer(
      "Without options the session is the one of `qvl run`.\n\n"
      "Example:\n  qvl bench vision models/3b --threads 2");
  command->callback([arguments] {
    const ModelBenchOptions& options = arguments->start();
    report_model(options, bench_vision(options), arguments->common.format());
  });
}

void add_bench_text(CLI::App& bench) {
  auto arguments = std::make_shared<ModelArguments>();
  arguments->options.tokens = {1, 32, 600};
  CLI::App* command = bench.add_subcommand("text", "A text artifact on sequences of several lengths");
  command->add_option("--tokens", arguments->options.tokens, "Lengths of the sequences (default: 1,32,600)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      ->add_option("--artifact", arguments->options.artifact, "Which one (default: text where there is one)")
      ->check(CLI::IsMember({"text", "text_with_image"}));
  arguments->add_to(*command);
  command->footer(
      "Every run gives the logits of all tokens, as every step of `qvl run` does: the reference artifacts "
      "have "
      "no cache.\nWithout options the session is the one of `qvl run`.\n\n"
      "Example:\n  qvl bench text models/3b --tokens 1,600\n"
      "  qvl bench text models/3b-f32 --no-prepacking --config session.use_env_allocators=0");
  command->callback([arguments] {
    const ModelBenchOptions& options = arguments->start();
    report_model(options, bench_text(options), arguments->common.format());
  });
}

struct TokenizerArguments {
  CommonArguments common;
  TokenizerBenchOptions options;
  std::filesystem::path source;
};

void add_bench_tokenizer(CLI::App& bench) {
  auto arguments = std::make_shared<TokenizerArguments>();
  CLI::App* command = bench.add_subcommand("tokenizer", "Text to tokens and back");
  command->add_option("SOURCE", arguments->source, "Checkpoint, model folder or tokenizer.json")->required();
  command->add_option("--text", arguments->options.text,
                      "A file of text (default: 4 MiB made of the vocabulary's own words)");
  arguments->common.add_to(*command);
  command->footer("One thread.\n\nExample:\n  qvl bench tokenizer models/3b --text README.md");
  command->callback([arguments] {
    TokenizerBenchOptions& options = arguments->options;
    options.tokenizer_json = tokenizer_of(arguments->source);
    options.runs = arguments->common.start();
    exit_on_signal();
    options.limits_seconds = arguments->common.limits_seconds;
    report_tokenizer(options, bench_tokenizer(options), arguments->common.format());
  });
}

struct ImageArguments {
  CommonArguments common;
  ImageBenchOptions options;
  std::string image_size = "672";
};

void add_bench_image(CLI::App& bench) {
  auto arguments = std::make_shared<ImageArguments>();
  CLI::App* command = bench.add_subcommand("image", "A picture from its file to the model's numbers");
  command->add_option("PICTURE", arguments->options.picture,
                      "PNG, JPEG, WebP, GIF or BMP (default: a BMP of 1600 x 1200 made in memory)");
  command
      ->add_option("--image-size", arguments->image_size,
                   "Size to resize to: a side or WIDTHxHEIGHT, multiples of 28")
      ->capture_default_str();
  arguments->common.add_to(*command);
  command->footer("One thread.\n\nExample:\n  qvl bench image photo.jpg");
  command->callback([arguments] {
    ImageBenchOptions& options = arguments->options;
    options.size = parse_image_size(arguments->image_size);
    options.runs = arguments->common.start();
    exit_on_signal();  // a large picture takes seconds to decode
    options.limits_seconds = arguments->common.limits_seconds;
    report_image(options, bench_image(options), arguments->common.format());
  });
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* bench = app.add_subcommand("bench", "Measure speed and memory beside the limits of this machine");
  bench->require_subcommand(1);
  add_bench_export(*bench);
  add_bench_vision(*bench);
  add_bench_text(*bench);
  add_bench_tokenizer(*bench);
  add_bench_image(*bench);
  add_bench_sensitivity(*bench);
  bench->footer(
      "docs/bench.md tells how to read the tables.\n\n"
      "Example:\n  qvl bench export Qwen2.5-VL-3B-Instruct\n  qvl bench text models/3b --tokens 1,600");
}

}  // namespace qvl::cli
