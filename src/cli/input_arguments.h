// Options of all commands that read pictures or chats.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include "qvl/input.h"

namespace qvl::cli {

// "qvl: warning: SENTENCE" on stderr.
void print_warning(const std::string& sentence);

class InputArguments {
 public:
  void add_alpha_to(CLI::App& command);
  void add_chat_template_to(CLI::App& command);

  // With print_warning.
  [[nodiscard]] InputOptions options() const;

 private:
  std::string alpha_ = "white";
  std::string chat_template_;
};

}  // namespace qvl::cli
