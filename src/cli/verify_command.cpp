#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/progress_line.h"
#include "qvl/verify.h"

namespace qvl::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;

struct VerifyCommand {
  VerifyOptions options;
  bool no_run = false;
  bool json = false;
  bool quiet = false;
};

const char* status_name(CheckStatus status) {
  switch (status) {
    case CheckStatus::passed:
      return "passed";
    case CheckStatus::failed:
      return "failed";
    case CheckStatus::skipped:
      return "skipped";
  }
  return "?";
}

OrderedJson check_json(const Check& check) {
  OrderedJson json{{"name", check.name}, {"status", status_name(check.status)}, {"detail", check.detail}};
  if (check.tensors) json["tensors"] = *check.tensors;
  if (check.bytes) json["bytes"] = *check.bytes;
  if (check.difference) {
    // JSON has no infinity.
    json["difference"] =
        std::isfinite(*check.difference) ? OrderedJson(*check.difference) : OrderedJson("inf");
  }
  if (check.bar) json["bar"] = *check.bar;
  return json;
}

void print_verify_json(const Certificate& certificate) {
  OrderedJson json{{"passed", certificate.passed()}, {"checks", OrderedJson::array()}};
  for (const Check& check : certificate.checks) json["checks"].push_back(check_json(check));
  json["first_divergence"] =
      certificate.first_divergence.empty() ? OrderedJson() : OrderedJson(certificate.first_divergence);
  // Names out of a broken folder need not be UTF-8.
  std::cout << json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) << "\n";
}

void print_check(const Check& check) {
  std::string counts;
  const auto add = [&](const std::string& text) { counts += (counts.empty() ? " (" : ", ") + text; };
  if (check.tensors) add(fmt::format("{} tensors", *check.tensors));
  if (check.bytes) add(human_bytes(*check.bytes));
  if (check.difference && check.bar)
    add(fmt::format("{:.1e} of at most {:.0e}", *check.difference, *check.bar));
  if (!counts.empty()) counts += ")";
  const char* status = check.status == CheckStatus::passed   ? "ok"
                       : check.status == CheckStatus::failed ? "FAILED"
                                                             : "skipped";
  std::cout << fmt::format("{:<36} {:<7} {}{}\n", check.name, status, check.detail, counts);
}

void run_verify(VerifyCommand& arguments) {
  VerifyOptions& options = arguments.options;
  options.run = !arguments.no_run;
  options.cancel = &cancel_on_signal();
  ProgressBar bar(ProgressLine::on_terminal());
  if (!arguments.quiet) options.progress = &bar;
  const Certificate certificate = verify_folder(options);
  const Check* failure = certificate.first_failure();
  if (arguments.json) {
    print_verify_json(certificate);
  } else {
    for (const Check& check : certificate.checks) print_check(check);
    const std::string& stage = certificate.first_divergence;
    const std::string where = stage.empty() ? "" : "; leaves the goldens at " + stage;
    std::cout << (failure == nullptr ? "passed" : "FAILED: first " + failure->name + where) << "\n";
  }
  if (failure != nullptr) throw ChecksFailed(failure->name + ": " + failure->detail);
}

}  // namespace

void add_verify(CLI::App& app) {
  auto arguments = std::make_shared<VerifyCommand>();
  VerifyOptions& options = arguments->options;
  CLI::App* command = app.add_subcommand(
      "verify", "Prove that a model folder is whole, unchanged and computes what it should");
  command->add_option("FOLDER", options.folder, "Model folder written by `qvl export`")->required();
  command->add_option("--checkpoint", options.checkpoint,
                      "The checkpoint that it was exported from: every tensor is compared with it");
  command->add_option(
      "--goldens", options.goldens,
      "Outputs of the reference implementation, stage by stage (tools/goldens/make_goldens.py)");
  command->add_flag("--no-run", arguments->no_run,
                    "Files, graphs and weights only; ONNX Runtime is not needed");
  command->add_option("--provider", options.provider, "Where to run")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  command->add_option("--threads", options.threads, "Threads (0: one per processor)")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--json", arguments->json, "One JSON object instead of the table");
  command->add_flag("--quiet", arguments->quiet, "No progress on stderr");
  command->footer(
      "Prints a line a check and at last `passed`, or `FAILED: first NAME`. Exit code 1 when one failed.\n\n"
      "Example:\n  qvl verify demo/out\n"
      "  qvl verify demo/out --checkpoint demo/shapes-vl --goldens goldens.safetensors --json");
  command->callback([arguments] { run_verify(*arguments); });
}

}  // namespace qvl::cli
