#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/source.h"
#include "core/json_text.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace qvl::cli {
namespace {

struct Arguments {
  std::filesystem::path source;
  std::filesystem::path messages;
  bool no_generation_prompt = false;
  bool add_vision_id = false;
  bool json = false;
};

void run(const Arguments& arguments) {
  const Tokenizer tokenizer = Tokenizer::load(tokenizer_of(arguments.source));
  const std::string json = arguments.messages == "-" ? read_stdin() : read_text_file(arguments.messages);
  const std::string text = render_chat(parse_messages(json, arguments.messages.string()),
                                       {!arguments.no_generation_prompt, arguments.add_vision_id});
  if (arguments.json) {
    std::cout << nlohmann::ordered_json{{"text", text}, {"ids", tokenizer.encode(text)}}.dump() << "\n";
  } else {
    std::cout << text;
  }
}

}  // namespace

void add_render_chat(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("render-chat", "Messages to the text that the model is given");
  command->add_option("SOURCE", arguments->source, "Checkpoint, model folder or tokenizer.json")->required();
  command->add_option("--messages", arguments->messages, "JSON file with the messages (- for stdin)")
      ->required();
  command->add_flag("--no-generation-prompt", arguments->no_generation_prompt,
                    "Do not open the assistant's turn");
  command->add_flag("--add-vision-id", arguments->add_vision_id, "Number the pictures: \"Picture 1: \"");
  command->add_flag("--json", arguments->json,
                    "{\"text\": ..., \"ids\": [...]}; one image token per picture");
  command->footer(
      "Messages are [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}, {\"type\": \"text\", "
      "\"text\": \"Hi\"}]}].\n\n"
      "Example:\n  qvl render-chat demo/shapes-vl --messages chat.json --json");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace qvl::cli
