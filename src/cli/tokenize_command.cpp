#include <fmt/format.h>

#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/source.h"
#include "core/json_text.h"
#include "qvl/error.h"
#include "text/tokenizer.h"

namespace qvl::cli {
namespace {

struct TokenizeCommand {
  std::filesystem::path source;
  std::string text;
  bool jsonl = false;
  bool decode = false;
  bool skip_special = false;
};

// One JSON value a line in, one a line out. A program at the other end of a pipe gets its answer before it
// must write on.
void each_line(const std::function<Json(const Json&)>& answer) {
  std::string line;
  for (std::size_t number = 1; std::getline(std::cin, line); ++number) {
    const std::string where = fmt::format("line {} of stdin", number);
    try {
      std::cout << answer(parse_json(line, "it")).dump() << '\n';
    } catch (const InputError& error) {
      throw InputError(fmt::format("{}: {}", where, error.what()));
    } catch (const Json::exception&) {
      throw InputError(fmt::format("{} is not what is expected; see `qvl tokenize --help`", where));
    }
    if (std::cin.rdbuf()->in_avail() <= 0) std::cout.flush();
  }
}

// Whole numbers from 0; anything else, which JSON would turn into one, is refused.
std::vector<TokenId> ids_of(const Json& line) {
  std::vector<TokenId> ids;
  for (const Json& id : line.get_ref<const Json::array_t&>()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > std::numeric_limits<std::int32_t>::max()) {
      throw InputError("an array of ids, whole numbers from 0, is expected");
    }
    ids.push_back(id.get<TokenId>());
  }
  return ids;
}

void run_tokenize(const TokenizeCommand& arguments, bool has_text) {
  if (arguments.decode && !arguments.jsonl) throw UsageError("--decode reads lines of ids; add --jsonl");
  if (arguments.skip_special && !arguments.decode)
    throw UsageError("--skip-special goes with --decode --jsonl");
  if (arguments.jsonl && has_text) throw UsageError("--jsonl reads stdin; leave TEXT out");
  const Tokenizer tokenizer = Tokenizer::load(tokenizer_of(arguments.source));
  if (arguments.decode) {
    each_line([&](const Json& ids) { return Json(tokenizer.decode(ids_of(ids), arguments.skip_special)); });
    return;
  }
  if (arguments.jsonl) {
    each_line([&](const Json& text) { return Json(tokenizer.encode(text.get_ref<const std::string&>())); });
    return;
  }
  const std::vector<TokenId> ids = tokenizer.encode(has_text ? arguments.text : read_stdin());
  std::vector<std::string> tokens;
  for (const TokenId id : ids) tokens.push_back(tokenizer.token(id));
  std::cout << nlohmann::ordered_json{{"ids", ids}, {"tokens", tokens}}.dump() << "\n";
}

}  // namespace

void add_tokenize(CLI::App& app) {
  auto arguments = std::make_shared<TokenizeCommand>();
  CLI::App* command = app.add_subcommand("tokenize", "Text to token ids and back");
  command->add_option("SOURCE", arguments->source, "Checkpoint, model folder or tokenizer.json")->required();
  CLI::Option* text = command->add_option("TEXT", arguments->text, "The text (stdin when left out)");
  command->add_flag("--jsonl", arguments->jsonl,
                    "One JSON string a line in, one JSON array of ids a line out");
  command->add_flag("--decode", arguments->decode, "With --jsonl: arrays of ids in, JSON strings out");
  command->add_flag("--skip-special", arguments->skip_special, "With --decode: leave special tokens out");
  command->footer(
      "Without --jsonl prints {\"ids\": [...], \"tokens\": [...]}.\n\n"
      "Example:\n  qvl tokenize demo/shapes-vl \"Describe the image.\"\n"
      "  echo '[287, 288]' | qvl tokenize demo/shapes-vl --decode --jsonl");
  command->callback([arguments, text] { run_tokenize(*arguments, text->count() > 0); });
}

}  // namespace qvl::cli
