// The commands of the program. Each adds its subcommand, with options and help, and runs when it is chosen;
// results go to stdout, everything else to stderr; failures are thrown (qvl/error.h) and become exit codes in
// main.cpp.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "qvl/error.h"

namespace qvl::cli {

// What was to be checked is not as it must be (exit code 1). The command has printed its results before.
class ChecksFailed : public Error {
 public:
  using Error::Error;
};

// Throws UsageError that names those of the arguments (name, whether it is given) that are not: for arguments
// that are needed for a part of what a command does.
void require_given(const std::vector<std::pair<std::string, bool>>& arguments);

void add_bench(CLI::App& app);
// A subcommand of bench.
void add_bench_sensitivity(CLI::App& bench);
void add_evaluate(CLI::App& app);
void add_export(CLI::App& app);
void add_infer(CLI::App& app);
void add_inspect(CLI::App& app);
void add_plan(CLI::App& app);
void add_preprocess(CLI::App& app);
void add_quantize(CLI::App& app);
void add_render_chat(CLI::App& app);
void add_run(CLI::App& app);
void add_sensitivity(CLI::App& app);
void add_synth(CLI::App& app);
void add_tokenize(CLI::App& app);
void add_verify(CLI::App& app);

}  // namespace qvl::cli
