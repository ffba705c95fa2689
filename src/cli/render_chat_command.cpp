#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/input_arguments.h"
#include "cli/source.h"
#include "core/json_text.h"
#include "core/text_file.h"
#include "models/family.h"
#include "models/known_template.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace qvl::cli {
namespace {

struct RenderChatCommand {
  std::filesystem::path source;
  std::filesystem::path messages;
  bool no_generation_prompt = false;
  bool add_vision_id = false;
  bool json = false;
  InputArguments input;
};

void run_render_chat(const RenderChatCommand& arguments) {
  const Tokenizer tokenizer = Tokenizer::load(tokenizer_of(arguments.source));
  InputOptions input = arguments.input.options();
  const bool folder = std::filesystem::is_directory(arguments.source);
  if (!folder) input.on_warning = {};  // of a tokenizer.json by itself no template is expected
  const std::filesystem::path place =
      folder ? arguments.source : std::filesystem::absolute(arguments.source).parent_path();
  const Family& family = family_in(place);
  require_known_template(place, family, input);
  const std::string json = arguments.messages == "-" ? read_stdin() : read_text_file(arguments.messages);
  const std::string text =
      family.render_chat(parse_messages(json, arguments.messages.string(), print_warning),
                         {!arguments.no_generation_prompt, arguments.add_vision_id});
  if (arguments.json) {
    std::cout << nlohmann::ordered_json{{"text", text}, {"ids", tokenizer.encode(text)}}.dump() << "\n";
  } else {
    std::cout << text;
  }
}

}  // namespace

void add_render_chat(CLI::App& app) {
  auto arguments = std::make_shared<RenderChatCommand>();
  CLI::App* command = app.add_subcommand("render-chat", "Messages to the text that the model is given");
  command->add_option("SOURCE", arguments->source, "Checkpoint, model folder or tokenizer.json")->required();
  command->add_option("--messages", arguments->messages, "JSON file with the messages (- for stdin)")
      ->required();
  command->add_flag("--no-generation-prompt", arguments->no_generation_prompt,
                    "Do not open the assistant's turn");
  command->add_flag("--add-vision-id", arguments->add_vision_id, "Number the pictures: \"Picture 1: \"");
  arguments->input.add_chat_template_to(*command);
  command->add_flag("--json", arguments->json,
                    "{\"text\": ..., \"ids\": [...]}; one image token per picture");
  command->footer(
      "Messages are [{\"role\": \"user\", \"content\": [{\"type\": \"image\"}, {\"type\": \"text\", "
      "\"text\": \"Hi\"}]}], or an object with\n"
      "`messages` (or `conversations`), `system` and `images`, as in the data of qvl sensitivity.\n\n"
      "Example:\n  qvl render-chat demo/shapes-vl --messages chat.json --json");
  command->callback([arguments] { run_render_chat(*arguments); });
}

}  // namespace qvl::cli
