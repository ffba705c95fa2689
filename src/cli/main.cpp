// The program: finds the command, runs it, turns exceptions into exit codes.
#include <fmt/format.h>

#include <csignal>
#include <filesystem>
#include <iostream>
#include <new>

#include "cli/command.h"
#include "qvl/error.h"
#include "qvl/version.h"

namespace {

// What scripts rely on (README.md, "Exit codes").
enum ExitCode {
  kDone = 0,
  kCheckFailed = 1,
  kWrongUsage = 2,
  kBadInput = 3,
  kMachineCannot = 4,
  kInterrupted = 130
};

int fail(ExitCode code, const char* what) {
  std::cerr << "qvl: " << what << "\n";
  return code;
}

int run(int argc, char** argv) {
  CLI::App app(
      "qvl turns a Qwen2.5-VL checkpoint into ONNX models and answers questions about pictures with them.");
  app.name("qvl");
  app.set_version_flag("--version", "qvl " QVL_VERSION);
  app.require_subcommand(1);
  app.fallthrough(false);
  app.footer(
      "`qvl COMMAND --help` tells more about a command and has an example.\n"
      "Exit codes: 0 done, 1 a check failed, 2 wrong usage, 3 bad input, 4 the machine cannot, 130 "
      "interrupted.");
  qvl::cli::add_export(app);
  qvl::cli::add_run(app);
  qvl::cli::add_inspect(app);
  qvl::cli::add_infer(app);
  qvl::cli::add_synth(app);
  qvl::cli::add_tokenize(app);
  qvl::cli::add_render_chat(app);
  qvl::cli::add_preprocess(app);
  qvl::cli::add_verify(app);
  qvl::cli::add_sensitivity(app);
  qvl::cli::add_quantize(app);
  qvl::cli::add_evaluate(app);
  qvl::cli::add_plan(app);
  qvl::cli::add_bench(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error, std::cout, std::cerr) != 0) return kWrongUsage;
  }
  std::cout.flush();
  if (!std::cout) throw qvl::MachineError("cannot write to stdout");
  return kDone;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  std::signal(SIGXFSZ, SIG_IGN);  // a file beyond the limit is an error of the write then
  try {
    return run(argc, argv);
  } catch (const qvl::cli::ChecksFailed& error) {
    std::cout.flush();
    return fail(kCheckFailed, error.what());
  } catch (const qvl::UsageError& error) {
    return fail(kWrongUsage, error.what());
  } catch (const qvl::InputError& error) {
    return fail(kBadInput, error.what());
  } catch (const qvl::Interrupted& error) {
    return fail(kInterrupted, error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(kBadInput, error.what());  // a path that is too long, or may not be read
  } catch (const std::bad_alloc&) {
    return fail(kMachineCannot, "not enough memory");
  } catch (const std::exception& error) {
    return fail(kMachineCannot, error.what());
  }
}
