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

// One line that is drawn again and again on a terminal; elsewhere a line every half a minute.
class ProgressLine {
 public:
  explicit ProgressLine(bool terminal) : terminal_(terminal) {}
  ~ProgressLine() {
    if (open_) std::cerr << "\n";
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const EvaluateProgress& progress) {
    const auto now = std::chrono::steady_clock::now();
    const bool ends = progress.done == progress.total;
    if (progress.done == 0) start_ = now;
    const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(30);
    if (!ends && now - drawn_ < pause) return;
    drawn_ = now;
    const std::string line = fmt::format("{}: {} of {} {}{}", progress.folder, progress.done, progress.total,
                                         progress.stage, ends ? "" : time_left(progress, now));
    std::cerr << (terminal_ ? "\r\x1b[K" : "") << line << (terminal_ && !ends ? "" : "\n") << std::flush;
    open_ = terminal_ && !ends;
  }

 private:
  using Time = std::chrono::steady_clock::time_point;

  [[nodiscard]] std::string time_left(const EvaluateProgress& progress, Time now) const {
    if (progress.done == 0) return "";
    const double each =
        std::chrono::duration<double>(now - start_).count() / static_cast<double>(progress.done);
    return fmt::format(", {} left",
                       duration_text(each * static_cast<double>(progress.total - progress.done)));
  }

  bool terminal_;
  Time start_;  // of the stage
  Time drawn_;
  bool open_ = false;
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
  ProgressLine line(ProgressBar::on_terminal());
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
