// What is wrong with a command line, in qvl's words.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace qvl::cli {

// What every command refuses: values that are empty (as of a shell variable that is not set), where empty
// text means nothing, and more threads than a process can have. To be called when all commands are there.
void add_common_checks(CLI::App& app);

// Of what the parser threw: unknown options in their order with those that may be meant, commands that there
// are not, every argument that is missing, what a value must be.
[[nodiscard]] std::string usage_message(CLI::App& app, const CLI::ParseError& error);

}  // namespace qvl::cli
