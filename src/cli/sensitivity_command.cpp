#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress_bar.h"
#include "cli/progress_line.h"
#include "cli/sensitivity_arguments.h"
#include "cli/sensitivity_progress.h"
#include "qvl/sensitivity.h"
#include "replay/unmeasured.h"
#include "sensitivity/report/report_verdict.h"

namespace qvl::cli {
namespace {

struct SensitivityCommand {
  SensitivityOptions options;
  SensitivityArguments run{options};
  std::string shard;
  bool json = false;
  bool quiet = false;
  std::vector<std::filesystem::path> shards;  // of merge
  std::filesystem::path merged;
};

Shard parse_shard(const std::string& text) {
  if (text.empty()) return {};
  int index = 0;
  int count = 0;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%d/%d%c", &index, &count, &rest) != 2)
    throw UsageError(fmt::format("--shard {}: k/n is expected, 1/3 for the first of three", text));
  return {index - 1, count};
}

// What the report says, with the paths that this command was given.
void print_verdict(const SensitivityReport& report, const ReportPlaces& places) {
  for (const WholeResult& whole : report.whole) {
    if (const std::string words = verdict_words(report, whole); !words.empty())
      std::cout << fmt::format("{}: {}\n", whole.format, words);
  }
  for (const EstimateTrust& trust : report.trust)
    std::cout << fmt::format("{} {}: {}\n", trust.format, trust.direction, trust_words(trust));
  for (const NextStep& step : next_steps(report, places))
    std::cout << fmt::format("{}:\n  {}\n", step.what, step.command);
}

void print_summary(const SensitivityRun& run, const std::filesystem::path& report, const ReportPlaces& places,
                   bool json) {
  if (json) {
    nlohmann::ordered_json out{
        {"report", report.string()}, {"complete", run.complete},    {"units", run.report.units.size()},
        {"measured", run.measured},  {"reused", run.reused},        {"passes", run.passes},
        {"seconds", run.seconds},    {"peak_bytes", run.peak_bytes}};
    for (const BodyUnits& bodies : run.report.unmeasured) {
      out["not_measured"].push_back({{"bodies_of", bodies.op},
                                     {"names", bodies.names},
                                     {"parameters", bodies.parameters},
                                     {"share", bodies.share}});
    }
    for (const Correlation& c : run.report.correlations) {
      out["correlation"].push_back({{"format", c.format},
                                    {"direction", c.direction},
                                    {"measure", c.measure},
                                    {"spearman", c.spearman},
                                    {"over", c.units}});
    }
    for (const WholeResult& whole : run.report.whole) {
      if (const std::string words = verdict_words(run.report, whole); !words.empty())
        out["verdict"][whole.format] = words;
    }
    for (const EstimateTrust& trust : run.report.trust)
      out["trust"][trust.format][trust.direction] = trust_words(trust);
    std::cout << out.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
    return;
  }
  std::cout << fmt::format(
      "{} units, {} numbers measured, {} found; {} passes in {:.1f} s, at most {} resident\n",
      run.report.units.size(), run.measured, run.reused, run.passes, run.seconds,
      human_bytes(run.peak_bytes));
  for (const BodyUnits& bodies : run.report.unmeasured) std::cout << to_text(bodies, "not measured") << "\n";
  if (const std::string fixed = in_body_text(run.report); !fixed.empty()) std::cout << fixed << "\n";
  const std::string unseen = unseen_text(unseen_units(run.report), run.report.output);
  if (!unseen.empty()) std::cout << unseen << "\n";
  // Of the method that measures everything; of the others the units that were measured are no fair draw.
  for (const Correlation& c :
       run.report.trust.empty() ? run.report.correlations : std::vector<Correlation>()) {
    std::cout << fmt::format("{} {} {}: rank correlation of fast and exact {:.3f} over {} units\n", c.format,
                             c.direction, c.measure, c.spearman, c.units);
  }
  if (run.complete) {
    print_verdict(run.report, places);
    std::cout << (report / "report.html").string() << "\n";
  } else {
    std::cout << "a shard; when all are done: qvl sensitivity merge OUT SHARD...\n";
  }
}

void measure(SensitivityCommand& arguments) {
  SensitivityOptions& options = arguments.options;
  arguments.run.apply();
  options.shard = parse_shard(arguments.shard);
  options.cancel = &cancel_on_signal();
  SensitivityBar bar(ProgressLine::on_terminal());
  if (!arguments.quiet) options.on_progress = [&bar](const SensitivityProgress& p) { bar.show(p); };
  const SensitivityRun run = measure_sensitivity(options);
  print_summary(run, options.report,
                ReportPlaces::of(options.report.string(), options.model.string(), options.data.string()),
                arguments.json);
}

void add_merge(CLI::App& command, const std::shared_ptr<SensitivityCommand>& arguments) {
  CLI::App* merge =
      command.add_subcommand("merge", "Put the shards of one run together and write its reports");
  merge->add_option("OUT", arguments->merged, "Folder for the reports")->required();
  merge->add_option("SHARD", arguments->shards, "Report folders of all shards")->required();
  merge->add_flag("--json", arguments->json, "What was done as one JSON object");
  merge->footer("Example:\n  qvl sensitivity merge report report/shard-*");
  merge->callback([arguments] {
    const std::string merged = arguments->merged.string();
    print_summary(merge_sensitivity(arguments->shards, arguments->merged), arguments->merged,
                  ReportPlaces::of(merged, merged, ""), arguments->json);
  });
}

}  // namespace

void add_sensitivity(CLI::App& app) {
  auto arguments = std::make_shared<SensitivityCommand>();
  SensitivityOptions& options = arguments->options;
  CLI::App* command =
      app.add_subcommand("sensitivity", "Measure which units of a model break when they are quantized");
  arguments->run.add_to(*command);
  command->add_option("--out", options.report, "Folder for the reports and for what was measured");
  command->add_option("--shard", arguments->shard, "k/n: only the k-th part of n; then `merge` them");
  command->add_flag("--json", arguments->json, "What was done as one JSON object");
  command->add_flag("--quiet", arguments->quiet, "No progress on stderr");
  command->footer(
      "Writes report.html, report.json, report.csv and report.md into --out. What is measured is kept there "
      "in\n"
      "measurements.sqlite: the same command goes on where it was stopped, another format or sample costs "
      "only\n"
      "what is new. docs/sensitivity.md explains methods and numbers.\n\n"
      "Example:\n"
      "  qvl sensitivity demo/out --data chats.jsonl --formats int8,int4:32 --out report\n"
      "  qvl sensitivity resnet.onnx --data tensors/ --formats int8-dynamic --method exact --out report");
  add_merge(*command, arguments);
  command->callback([arguments, command] {
    if (!command->get_subcommands().empty()) return;
    const SensitivityOptions& given = arguments->options;
    require_given(
        {{"MODEL", !given.model.empty()}, {"--data", !given.data.empty()}, {"--out", !given.report.empty()}});
    measure(*arguments);
  });
}

}  // namespace qvl::cli
