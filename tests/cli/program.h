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

// Starts the program and returns its process id; output goes nowhere.
int start_qvl(const std::vector<std::string>& arguments);

std::filesystem::path program();

}  // namespace qvl::test
