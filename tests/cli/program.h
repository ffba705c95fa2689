// Runs the program as a user's script would.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace qvl::test {

struct ProgramResult {
  int exit_code = -1;  // 128 + signal when it was killed by one
  std::string out;
  std::string err;
};

// The program built with the tests, with these arguments and this text on stdin.
ProgramResult qvl(const std::vector<std::string>& arguments, const std::string& input = "");

// Any command. `environment` entries (NAME=value) are added to ours.
ProgramResult run_command(const std::vector<std::string>& command, const std::string& input = "",
                          const std::vector<std::string>& environment = {});

// The program with a tmpfs of these mount options ("size=3m,ro") at `mount_point`, in a mount namespace of
// its own, and then a shell command, whose output is added to the program's.
ProgramResult qvl_on_tmpfs(const std::filesystem::path& mount_point, const std::string& options,
                           const std::vector<std::string>& arguments, const std::string& after);
// Whether that could not be done: containers and chroots may not allow a mount namespace, or a mount in it.
bool cannot_mount(const ProgramResult& result);

// Starts the program and returns its process id; output goes nowhere.
int start_qvl(const std::vector<std::string>& arguments);

std::filesystem::path program();

}  // namespace qvl::test
