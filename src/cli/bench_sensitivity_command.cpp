#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/sensitivity_bench.h"
#include "cli/bench_table.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/progress_line.h"
#include "cli/sensitivity_arguments.h"
#include "cli/sensitivity_progress.h"

namespace qvl::cli {
namespace {

struct BenchSensitivityCommand {
  SensitivityBenchOptions bench;
  SensitivityArguments run{bench.run};
  bool json = false;
  bool quiet = false;
};

void print(const std::vector<SensitivityBenchRow>& rows, bool json) {
  if (json) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const SensitivityBenchRow& row : rows) {
      out.push_back({{"format", row.format},
                     {"units", row.units},
                     {"measured", row.measured},
                     {"seconds", row.seconds},
                     {"fixed_seconds", row.fixed_seconds},
                     {"seconds_per_unit", row.seconds_per_unit},
                     {"projected_seconds", row.projected_seconds},
                     {"passes", row.passes},
                     {"peak_bytes", row.peak_bytes}});
    }
    std::cout << out.dump(1) << "\n";
    return;
  }
  BenchTable table({"format", "units", "measured", "seconds a unit", "once", "measured time",
                    "all units, projected", "passes", "peak memory"});
  for (const SensitivityBenchRow& row : rows) {
    table.add({row.format, fmt::format("{}", row.units), fmt::format("{}", row.measured),
               time_text(row.seconds_per_unit), time_text(row.fixed_seconds), time_text(row.seconds),
               time_text(row.projected_seconds), fmt::format("{}", row.passes), memory_text(row.peak_bytes)});
  }
  std::cout << table.text();
}

}  // namespace

void add_bench_sensitivity(CLI::App& bench) {
  auto arguments = std::make_shared<BenchSensitivityCommand>();
  CLI::App* command = bench.add_subcommand(
      "sensitivity", "What a sensitivity run takes, measured on a part of the units and projected for all");
  arguments->run.add_to(*command);
  command->add_option("--every", arguments->bench.every, "Measure every n-th unit (1: all)")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--scratch", arguments->bench.run.report,
                      "Where a hidden folder is made and removed again (default: the current folder)");
  command->add_flag("--json", arguments->json, "A JSON array instead of a table");
  command->add_flag("--quiet", arguments->quiet, "No progress on stderr");
  command->footer(
      "A run for each format by itself, nothing reused. \"once\" does not grow with the units: loading, and "
      "the\n"
      "unquantized and the wholly quantized model on all samples.\n\n"
      "Example:\n"
      "  qvl bench sensitivity models/3b --data chats.jsonl --formats int8,int4:32 --method exact --every "
      "20");
  command->callback([arguments] {
    SensitivityOptions& options = arguments->bench.run;
    require_given({{"MODEL", !options.model.empty()}, {"--data", !options.data.empty()}});
    arguments->run.apply();
    if (options.report.empty()) options.report = ".";
    options.cancel = &cancel_on_signal();
    SensitivityBar bar(ProgressLine::on_terminal());
    if (!arguments->quiet) options.on_progress = [&bar](const SensitivityProgress& p) { bar.show(p); };
    print(bench_sensitivity(arguments->bench), arguments->json);
  });
}

}  // namespace qvl::cli
