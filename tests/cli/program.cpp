#include "cli/program.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "support/test_data.h"

namespace qvl::test {
namespace {

int spawn(const std::vector<std::string>& command, const std::string& in, const std::string& out,
          const std::string& err, const std::vector<std::string>& environment) {
  std::vector<char*> arguments;
  for (const std::string& a : command) arguments.push_back(const_cast<char*>(a.c_str()));
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    for (const std::string& e : environment) putenv(const_cast<char*>(e.c_str()));
    const int i = open(in.c_str(), O_RDONLY);
    const int o = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int e = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (i < 0 || o < 0 || e < 0 || dup2(i, 0) < 0 || dup2(o, 1) < 0 || dup2(e, 2) < 0) _exit(126);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  return child;
}

}  // namespace

std::filesystem::path program() { return QVL_PROGRAM; }

ProgramResult run_command(const std::vector<std::string>& command, const std::string& input,
                          const std::vector<std::string>& environment) {
  const TemporaryFolder folder;
  write_file(folder.path() / "in", input);
  const std::string base = folder.path().string();
  const int child = spawn(command, base + "/in", base + "/out", base + "/err", environment);
  int status = 0;
  waitpid(child, &status, 0);
  ProgramResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = read_file(folder.path() / "out");
  result.err = read_file(folder.path() / "err");
  return result;
}

ProgramResult qvl(const std::vector<std::string>& arguments, const std::string& input) {
  std::vector<std::string> command{program().string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_command(command, input);
}

ProgramResult qvl_on_tmpfs(const std::filesystem::path& mount_point, const std::string& options,
                           const std::vector<std::string>& arguments, const std::string& after) {
  std::filesystem::create_directories(mount_point);
  std::vector<std::string> command{
      "unshare",
      geteuid() == 0 ? "-m" : "-rm",
      "sh",
      "-c",
      "mount -t tmpfs -o \"$1\" tmpfs \"$2\" || exit 99; shift 2; \"$@\"; code=$?; " + after + "; exit $code",
      "sh",
      options,
      mount_point.string(),
      program().string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_command(command);
}

bool cannot_mount(const ProgramResult& result) {
  return result.exit_code == 99 || result.exit_code == 127 || result.err.starts_with("unshare:");
}

int start_qvl(const std::vector<std::string>& arguments) {
  std::vector<std::string> command{program().string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return spawn(command, "/dev/null", "/dev/null", "/dev/null", {});
}

}  // namespace qvl::test
