// Another program, run to be measured.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "qvl/progress.h"

namespace qvl {

struct ChildResult {
  int exit_code = 0;             // 128 + signal when one ended it
  double seconds = 0;            // wall time from its start to its end
  std::uint64_t peak_bytes = 0;  // most that was resident, pages of mapped files included (ru_maxrss)
  std::string errors;            // the first 64 KiB of its stderr, without white space at the end
};

// Runs command[0] (a path) with these arguments and the environment of this process; stdin and stdout are
// /dev/null. When `cancel` is set it is asked to stop (SIGINT), waited for, and Interrupted is thrown. It
// does not outlive this process. Throws MachineError when it cannot be started.
[[nodiscard]] ChildResult run_child(const std::vector<std::string>& command, const CancelToken* cancel);

// Where the program lies in PATH, as a shell finds it.
[[nodiscard]] std::optional<std::filesystem::path> find_program(const std::string& name);

}  // namespace qvl
