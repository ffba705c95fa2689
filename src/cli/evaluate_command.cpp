#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/bench_table.h"
#include "cli/command.h"
#include "cli/input_arguments.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/progress_line.h"
#include "cli/sensitivity_progress.h"
#include "qvl/evaluate.h"

namespace qvl::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct EvaluateCommand {
  EvaluateOptions options;
  InputArguments input;
  bool no_answers = false;
  bool json = false;
  bool quiet = false;
};

// Folders are asked one after the other.
class EvaluationLine {
 public:
  explicit EvaluationLine(bool terminal) : line_(terminal, std::chrono::seconds(30)) {}

  void show(const EvaluateProgress& progress) {
    const bool ends = progress.done == progress.total;
    if (progress.done == 0) start_ = Clock::now();
    if (!ends && !line_.is_due()) return;
    line_.draw(
        fmt::format("{}: {} of {} {}{}", progress.folder, progress.done, progress.total, progress.stage,
                    ends ? "" : time_left(progress)),
        progress.total > 0 ? static_cast<double>(progress.done) / static_cast<double>(progress.total) : 1.0);
    if (ends) line_.end();
  }

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] std::string time_left(const EvaluateProgress& progress) const {
    if (progress.done == 0) return "";
    const double each =
        std::chrono::duration<double>(Clock::now() - start_).count() / static_cast<double>(progress.done);
    return fmt::format(", {} left",
                       duration_text(each * static_cast<double>(progress.total - progress.done)));
  }

  ProgressLine line_;
  Clock::time_point start_;  // of the stage
};

template <class T>
OrderedJson or_null(const std::optional<T>& value) {
  return value ? OrderedJson(*value) : OrderedJson();
}

void print_evaluate_json(const Evaluation& evaluation) {
  OrderedJson json{{"data", evaluation.data},           {"reference", evaluation.reference.string()},
                   {"questions", evaluation.questions}, {"known", evaluation.known},
                   {"positions", evaluation.positions}, {"folders", OrderedJson::array()}};
  for (const EvaluatedFolder& folder : evaluation.folders) {
    json["folders"].push_back({{"folder", folder.folder.string()},
                               {"exact", or_null(folder.exact)},
                               {"same", or_null(folder.same)},
                               {"kl", or_null(folder.kl)},
                               {"kl_stderr", or_null(folder.kl_stderr)},
                               {"kl_median", or_null(folder.kl_median)},
                               {"kl_p99", or_null(folder.kl_p99)},
                               {"top1", or_null(folder.top1)},
                               {"bytes", folder.bytes},
                               {"seconds_per_answer", or_null(folder.seconds_per_answer)},
                               {"seconds_per_answer_mean", or_null(folder.seconds_per_answer_mean)}});
  }
  // Names of files need not be UTF-8.
  std::cout << json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) << "\n";
}

std::string of_all(const std::optional<std::int64_t>& count, std::int64_t all) {
  return count ? fmt::format("{} of {}", *count, all) : "-";
}

std::string figure(const std::optional<double>& value) { return value ? fmt::format("{:.3g}", *value) : "-"; }

std::string seconds(const std::optional<double>& value) { return value ? time_text(*value) : "-"; }

void print_evaluate_table(const Evaluation& evaluation) {
  BenchTable table(
      {"folder", "exact", "same", "kl", "stderr", "median", "p99", "top1", "bytes", "an answer", "mean"});
  for (const EvaluatedFolder& folder : evaluation.folders) {
    table.add({folder.folder.string(), of_all(folder.exact, evaluation.known),
               of_all(folder.same, evaluation.questions), figure(folder.kl), figure(folder.kl_stderr),
               figure(folder.kl_median), figure(folder.kl_p99),
               folder.top1 ? fmt::format("{:.2f}%", *folder.top1 * 100) : "-", human_bytes(folder.bytes),
               seconds(folder.seconds_per_answer), seconds(folder.seconds_per_answer_mean)});
  }
  std::cout << table.text()
            << fmt::format("\n{}: {} questions, {} positions; kl and same are against {}\n", evaluation.data,
                           evaluation.questions, evaluation.positions, evaluation.reference.string());
}

void run_evaluate(EvaluateCommand& arguments) {
  EvaluateOptions& options = arguments.options;
  options.answers = !arguments.no_answers;
  options.input = arguments.input.options();
  options.cancel = &cancel_on_signal();
  EvaluationLine line(ProgressLine::on_terminal());
  if (!arguments.quiet) options.on_progress = [&line](const EvaluateProgress& p) { line.show(p); };
  const Evaluation evaluation = evaluate_folders(options);
  arguments.json ? print_evaluate_json(evaluation) : print_evaluate_table(evaluation);
}

}  // namespace

void add_evaluate(CLI::App& app) {
  auto arguments = std::make_shared<EvaluateCommand>();
  EvaluateOptions& options = arguments->options;
  CLI::App* command = app.add_subcommand("evaluate", "Compare how model folders answer the same questions");
  command
      ->add_option("FOLDER", options.folders, "Model folders; the first is what the others are compared with")
      ->required();
  command
      ->add_option("--data", options.data,
                   "JSONL file of chats: {\"messages\": [...], \"answer\": ...} or \"boxes\" a line")
      ->required();
  command->add_option("--reference", options.reference,
                      "Compare with this folder; it is a row of the table, too");
  command->add_option("--samples", options.samples, "Only the first so many questions (0: all)")
      ->check(CLI::NonNegativeNumber);
  command->add_flag(
      "--no-answers", arguments->no_answers,
      "Generate nothing: kl, top1 and bytes only (but the reference answers where the data does "
      "not)");
  command
      ->add_option("--max-new-tokens", options.max_new_tokens,
                   "Most tokens to answer with (default: generation_config.json's, else 512)")
      ->check(CLI::PositiveNumber);
  command->add_option("--provider", options.provider, "Where to run")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  command->add_option("--threads", options.threads, "Threads (0: one per processor)")
      ->check(CLI::NonNegativeNumber);
  arguments->input.add_alpha_to(*command);
  arguments->input.add_chat_template_to(*command);
  command->add_flag("--json", arguments->json, "One JSON object instead of the table");
  command->add_flag("--quiet", arguments->quiet, "No progress on stderr");
  command->footer(
      "exact: known answers given exactly; same: answers that are the reference's, token for token; kl: of "
      "the\n"
      "next token's distribution from the reference's, in nats; an answer: seconds without loading, median "
      "and\n"
      "mean. docs/evaluate.md defines every column.\n\n"
      "Example:\n  qvl evaluate models/3b models/3b-int4 --data questions.jsonl");
  command->callback([arguments] { run_evaluate(*arguments); });
}

}  // namespace qvl::cli
