#include "cli/input_arguments.h"

#include <iostream>

namespace qvl::cli {

void print_warning(const std::string& sentence) { std::cerr << "qvl: warning: " << sentence << "\n"; }

void InputArguments::add_alpha_to(CLI::App& command) {
  command
      .add_option("--alpha", alpha_,
                  "Transparent pixels: white lays them on white, drop takes their stored colour")
      ->check(CLI::IsMember({"white", "drop"}))
      ->capture_default_str();
}

void InputArguments::add_chat_template_to(CLI::App& command) {
  command
      .add_option("--chat-template", chat_template_,
                  "qwen: write prompts as Qwen2.5-VL's template does although the folder has another one")
      ->check(CLI::IsMember({"qwen"}));
}

InputOptions InputArguments::options() const {
  InputOptions options;
  options.alpha = alpha_ == "drop" ? Alpha::drop : Alpha::white;
  options.any_chat_template = chat_template_ == "qwen";
  options.on_warning = print_warning;
  return options;
}

}  // namespace qvl::cli
