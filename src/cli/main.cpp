// The program: finds the command, runs it, turns exceptions into exit codes.
#include <fmt/format.h>

#include <csignal>
#include <filesystem>
#include <iostream>
#include <new>
#include <system_error>

#include "cli/command.h"
#include "cli/usage_message.h"
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

int fail(ExitCode code, const std::string& what) {
  std::cerr << "qvl: " << what << "\n";
  return code;
}

// Of a path that is too long, a loop of links, or may not be looked at.
int fail(const std::filesystem::filesystem_error& error) {
  const std::error_code& code = error.code();
  const bool is_machine = code == std::errc::no_space_on_device || code == std::errc::io_error ||
                          code == std::errc::not_enough_memory || code == std::errc::too_many_files_open ||
                          code == std::errc::too_many_files_open_in_system;
  const bool writes = code == std::errc::no_space_on_device || code == std::errc::read_only_file_system;
  std::string what = fmt::format("cannot {} {}", writes ? "write" : "use", error.path1().string());
  if (!error.path2().empty()) what += " and " + error.path2().string();
  return fail(is_machine ? kMachineCannot : kBadInput, fmt::format("{}: {}", what, code.message()));
}

// What is left of these are threads that cannot be made.
int fail(const std::system_error& error) {
  if (error.code() != std::errc::resource_unavailable_try_again) return fail(kMachineCannot, error.what());
  return fail(
      kMachineCannot,
      fmt::format("no more threads can be had ({}); --threads 1 needs the fewest, `ulimit -u` tells how many "
                  "this user may have",
                  error.code().message()));
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
  qvl::cli::add_common_checks(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // for help or the version
    (void)app.exit(asked, std::cout, std::cerr);
  } catch (const CLI::ParseError& error) {
    return fail(kWrongUsage, qvl::cli::usage_message(app, error));
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
    return fail(error);
  } catch (const std::system_error& error) {
    return fail(error);
  } catch (const std::bad_alloc&) {
    return fail(kMachineCannot, "not enough memory");
  } catch (const std::exception& error) {
    return fail(kMachineCannot, error.what());
  }
}
