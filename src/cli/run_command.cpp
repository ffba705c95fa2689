#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/input_arguments.h"
#include "cli/interrupt.h"
#include "qvl/engine.h"

namespace qvl::cli {
namespace {

struct RunCommand {
  EngineOptions engine;
  InputArguments input;
  Question question;
  std::string system;
  bool json = false;
};

void print_run_json(const Answer& answer) {
  const nlohmann::ordered_json json{{"text", answer.text},
                                    {"ids", answer.ids},
                                    {"stop", answer.stop == StopReason::eos ? "eos" : "length"},
                                    {"prompt_tokens", answer.prompt_tokens},
                                    {"image_tokens", answer.image_tokens},
                                    {"ms",
                                     {{"load", answer.ms.load},
                                      {"preprocess", answer.ms.preprocess},
                                      {"vision", answer.ms.vision},
                                      {"first_token", answer.ms.first_token},
                                      {"total", answer.ms.total}}}};
  std::cout << json.dump() << "\n";
}

void ask(RunCommand& arguments, bool has_system) {
  if (has_system) arguments.question.system = arguments.system;
  arguments.engine.keep_loaded = false;
  arguments.engine.input = arguments.input.options();
  const CancelToken& cancel = cancel_on_signal();
  Engine engine(arguments.engine);
  if (arguments.json) {
    print_run_json(engine.ask(arguments.question, {}, &cancel));
    return;
  }
  engine.ask(arguments.question, [](std::string_view piece) { std::cout << piece << std::flush; }, &cancel);
  std::cout << "\n";
}

}  // namespace

void add_run(CLI::App& app) {
  auto arguments = std::make_shared<RunCommand>();
  CLI::App* command = app.add_subcommand("run", "Answer a question about pictures with a model folder");
  command->add_option("FOLDER", arguments->engine.folder, "Model folder written by `qvl export`")->required();
  command->add_option("--image", arguments->question.pictures, "Picture file; repeat it for several")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  command->add_option("--prompt", arguments->question.prompt, "The question")->required();
  CLI::Option* system =
      command->add_option("--system", arguments->system, "System message instead of the default one");
  command
      ->add_option("--max-new-tokens", arguments->question.max_new_tokens,
                   "Most tokens to answer with (default: generation_config.json's, else 512)")
      ->check(CLI::PositiveNumber);
  command->add_option("--threads", arguments->engine.threads, "Threads (0: one per processor)")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--provider", arguments->engine.provider, "Where to run")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  command->add_flag(
      "--low-memory", arguments->engine.low_memory,
      "CPU: leave the weights in the mapped files instead of copying them for speed; happens by "
      "itself where the copies would not fit");
  arguments->input.add_alpha_to(*command);
  arguments->input.add_chat_template_to(*command);
  command->add_flag("--json", arguments->json,
                    "One JSON object with text, ids, stop reason and times, not streamed");
  command->footer(
      "Pictures are stretched to the size that the folder was exported for; decoding is greedy: the\n"
      "token of the highest logit, whatever generation_config.json says of sampling and penalties.\n\n"
      "Example:\n  qvl run demo/out --image demo/pictures/shapes.jpg --prompt \"Describe the image.\"");
  command->callback([arguments, system] { ask(*arguments, system->count() > 0); });
}

}  // namespace qvl::cli
