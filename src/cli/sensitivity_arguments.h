// The options of `qvl sensitivity` that `qvl bench sensitivity` has, too.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/input_arguments.h"
#include "qvl/sensitivity.h"

namespace qvl::cli {

class SensitivityArguments {
 public:
  // What they set; must outlive it.
  explicit SensitivityArguments(SensitivityOptions& options) : options_(options) {}

  void add_to(CLI::App& command);
  // After parsing: texts become options. Throws UsageError for those that mean nothing.
  void apply();

 private:
  SensitivityOptions& options_;
  InputArguments input_;
  std::string formats_ = "int8,int4:32";
  std::string method_ = "auto";
  std::string criterion_ = "kl";
  std::string direction_ = "in";
  std::string memory_;
};

}  // namespace qvl::cli
