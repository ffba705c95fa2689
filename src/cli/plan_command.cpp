#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/bench_table.h"
#include "cli/byte_size.h"
#include "cli/command.h"
#include "cli/input_arguments.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/progress_line.h"
#include "cli/sensitivity_progress.h"
#include "qvl/plan.h"
#include "replay/unmeasured.h"

namespace qvl::cli {
namespace {

struct PlanCommand {
  PlanOptions options;
  InputArguments input;
  std::vector<std::string> removed;
  bool list = false;
  std::vector<std::string> budgets;
  std::vector<std::string> formats;
  std::string memory;
  bool no_measure = false;
  bool json = false;
  bool quiet = false;
};

double parse_number(const std::string& text, const std::string& budget) {
  std::size_t used = 0;
  double number = 0;
  try {
    number = std::stod(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size())
    throw UsageError(fmt::format("--budget {}: a number is expected behind the =", budget));
  return number;
}

PlanBudget parse_budgets(const std::vector<std::string>& texts) {
  PlanBudget budget;
  for (const std::string& text : texts) {
    const std::size_t equals = std::min(text.find('='), text.size());
    const std::string name = text.substr(0, equals);
    const std::string value = equals < text.size() ? text.substr(equals + 1) : "";
    const auto put = [&](auto& place, auto number) {
      if (place) throw UsageError(fmt::format("--budget {} is given twice", name));
      place = number;
    };
    if (name == "bytes") {
      put(budget.bytes, parse_byte_size(value, "--budget bytes"));
    } else if (name == "bits") {
      put(budget.bits, parse_number(value, text));
    } else if (name == "kl") {
      put(budget.kl, parse_number(value, text));
    } else if (name == "latency") {
      put(budget.latency_ms, parse_number(value, text));
    } else {
      throw UsageError(fmt::format(
          "--budget {}; bytes=SIZE, bits=NUMBER, kl=NATS or latency=MILLISECONDS is expected", text));
    }
  }
  return budget;
}

nlohmann::ordered_json number_or_null(const std::optional<double>& number) {
  return number ? nlohmann::ordered_json(*number) : nlohmann::ordered_json();
}

void print_plan_json(const PlanResult& result, const std::filesystem::path& place) {
  nlohmann::ordered_json out{{"plan", place.string()},
                             {"bytes", result.bytes},
                             {"bits", result.bits},
                             {"unquantized_bytes", result.front.unquantized_bytes},
                             {"latency_ms", number_or_null(result.latency_ms)},
                             {"predicted", result.predicted},
                             {"measured", number_or_null(result.measured)},
                             {"measured_stderr", number_or_null(result.measured_stderr)},
                             {"gap", result.gap},
                             {"quantized_units", result.quantized_units}};
  out["formats"] = nlohmann::ordered_json::object();
  for (const PlanShare& share : result.shares)
    out["formats"][share.format] = {
        {"units", share.units}, {"bytes", share.bytes}, {"predicted", share.error}};
  out["rounds"] = nlohmann::ordered_json::array();
  for (const PlanRound& round : result.rounds) {
    out["rounds"].push_back({{"change", round.change},
                             {"bytes", round.bytes},
                             {"predicted", round.predicted},
                             {"measured", number_or_null(round.measured)},
                             {"changed", round.changed}});
  }
  if (!result.unseen.empty()) out["unseen"] = result.unseen;
  for (const BodyUnits& bodies : result.unmeasured) {
    out["not_measured"].push_back({{"bodies_of", bodies.op},
                                   {"units", bodies.names},
                                   {"parameters", bodies.parameters},
                                   {"share", bodies.share}});
  }
  std::cout << out.dump(1) << "\n";
}

void print_plan_table(const PlanResult& result, const std::filesystem::path& place) {
  std::cout << fmt::format("{:<14} {:>6} {:>12} {:>10}\n", "format", "units", "size", "error");
  for (const PlanShare& share : result.shares) {
    const double part = result.predicted > 0 ? 100 * share.error / result.predicted : 0;
    std::cout << fmt::format("{:<14} {:>6} {:>12} {:>9.1f}%\n", share.format, share.units,
                             human_bytes(share.bytes), part);
  }
  std::cout << fmt::format("{} bytes ({} unquantized), {:.3f} bits a weight", result.bytes,
                           result.front.unquantized_bytes, result.bits);
  if (result.latency_ms) std::cout << fmt::format(", {:.4g} ms", *result.latency_ms);
  std::cout << fmt::format("\npredicted {:.4g}", result.predicted);
  if (result.measured) std::cout << fmt::format(", measured {:.4g}", *result.measured);
  if (result.measured_stderr) std::cout << fmt::format(" (standard error {:.2g})", *result.measured_stderr);
  if (result.rounds.size() > 1) std::cout << fmt::format(", {} plans tried", result.rounds.size());
  std::cout << "\n";
  if (result.gap > 0) std::cout << fmt::format("not proven the best: {:.4g} may be won\n", result.gap);
  const std::string unseen = unseen_text(result.unseen, result.output);
  if (!unseen.empty()) std::cout << unseen << "\n";
  for (const BodyUnits& bodies : result.unmeasured)
    std::cout << to_text(bodies, "not measured, left as they are") << "\n";
  std::cout << place.string() << "\n";
}

// A plan may keep its budget so; who asked for one should know.
void warn_of_nothing(const PlanBudget& budget) {
  std::cerr << fmt::format("qvl: warning: the plan quantizes nothing: {}\n",
                           budget.kl ? fmt::format("no smaller plan was found that keeps kl={}", *budget.kl)
                                     : "all units fit the budget as they are");
}

void print_marks(const std::vector<PlanMark>& marks, bool json) {
  if (json) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const PlanMark& mark : marks) {
      out.push_back({{"name", mark.name},
                     {"bytes", mark.point.bytes},
                     {"bits", mark.point.bits},
                     {"predicted", mark.point.error},
                     {"measured", number_or_null(mark.measured)}});
    }
    std::cout << out.dump(1) << "\n";
    return;
  }
  BenchTable table({"plan", "bytes", "bits", "predicted", "measured"});
  for (const PlanMark& mark : marks) {
    table.add({mark.name, fmt::format("{}", mark.point.bytes), fmt::format("{:.3f}", mark.point.bits),
               fmt::format("{:.4g}", mark.point.error),
               mark.measured ? fmt::format("{:.4g}", *mark.measured) : "-"});
  }
  std::cout << table.text();
}

void plan(PlanCommand& arguments) {
  PlanOptions& options = arguments.options;
  if (arguments.list || !arguments.removed.empty()) {
    if (!arguments.budgets.empty() || !options.out.empty())
      throw UsageError("--list and --remove make no plan; leave --budget and --out out");
    print_marks(arguments.removed.empty() ? plan_marks(options.report)
                                          : remove_plan_marks(options.report, arguments.removed),
                arguments.json);
    return;
  }
  require_given({{"--budget", !arguments.budgets.empty()}, {"--out", !options.out.empty()}});
  options.budget = parse_budgets(arguments.budgets);
  options.formats = arguments.formats;
  options.measure = !arguments.no_measure;
  if (!arguments.memory.empty()) options.memory_bytes = parse_memory_size(arguments.memory, "--memory");
  options.input = arguments.input.options();
  options.cancel = &cancel_on_signal();
  SensitivityBar bar(ProgressLine::on_terminal());
  if (!arguments.quiet) options.on_progress = [&bar](const SensitivityProgress& p) { bar.show(p); };
  const PlanResult result = make_plan(options);
  if (result.quantized_units == 0) warn_of_nothing(options.budget);
  if (arguments.json) {
    print_plan_json(result, options.out);
  } else {
    print_plan_table(result, options.out);
  }
}

}  // namespace

void add_plan(CLI::App& app) {
  auto arguments = std::make_shared<PlanCommand>();
  PlanOptions& options = arguments->options;
  CLI::App* command =
      app.add_subcommand("plan", "Choose a format for every unit that was measured, and measure the choice");
  command->add_option("REPORT_FOLDER", options.report, "What `qvl sensitivity --out` wrote")->required();
  command->add_option("--budget", arguments->budgets,
                      "bytes=SIZE (900MB, 1.5GiB; a plain number is bytes), bits=NUMBER (a weight, on "
                      "average) or kl=NATS (measured); "
                      "besides, latency=MILLISECONDS (of the units' kernels)");
  command->add_option("--out", options.out,
                      "plan.json to write; a plan that is there is replaced, no other file");
  command->add_flag("--list", arguments->list, "Make no plan: list those that the report has, by size");
  command
      ->add_option("--remove", arguments->removed,
                   "Take the plan of this name out of the report; repeat it for several")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  command->add_option("--formats", arguments->formats, "Only these of the measured formats, with commas")
      ->delimiter(',');
  command->add_option("--output", options.output, "The output by which the run was measured (it is kept)");
  command->add_option("--model", options.model, "Where the model is now (default: where the run found it)");
  command->add_option("--data", options.data, "Where the data is now (default: where the run found it)");
  arguments->input.add_alpha_to(*command);
  arguments->input.add_chat_template_to(*command);
  command
      ->add_option("--rounds", options.rounds,
                   "Most rounds of repair; 0: the first plan is measured and kept")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag("--no-measure", arguments->no_measure,
                    "Believe the sum of the units' errors; what was measured before is kept");
  command
      ->add_option("--latency-rows", options.latency_rows, "Rows of activations for which kernels are timed")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--memory", arguments->memory, "Stay below, e.g. 4GiB (default: what is available)");
  command->add_option("--threads", options.threads, "Threads (0: one per processor)")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--json", arguments->json, "What was decided as one JSON object");
  command->add_flag("--quiet", arguments->quiet, "No progress on stderr");
  command->footer(
      "Units that take the same input get one format. What is measured is kept in the report folder: the "
      "same\n"
      "command goes on where it was stopped. The report gets a curve of error against size with the plans on "
      "it.\n"
      "docs/plan.md explains plan.json, which may be written by hand, too.\n\n"
      "Example:\n"
      "  qvl plan report --budget bits=5 --out plan.json\n"
      "  qvl plan report --budget bytes=1.5GiB --budget latency=40 --out plan.json\n"
      "  qvl plan report --list\n"
      "  qvl plan report --remove bits=5");
  command->callback([arguments] { plan(*arguments); });
}

}  // namespace qvl::cli
