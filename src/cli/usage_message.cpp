#include "cli/usage_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/suggestion.h"

namespace qvl::cli {
namespace {

constexpr std::string_view kThreads = "--threads";
constexpr int kMostThreads = 4096;

// The words of other programs for what a command does.
constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kOtherWords{
    {{"convert", "export"},
     {"ask", "run"},
     {"chat", "run"},
     {"answer", "run"},
     {"check", "verify"},
     {"validate", "verify"},
     {"compare", "evaluate"},
     {"eval", "evaluate"},
     {"info", "inspect"},
     {"show", "inspect"},
     {"encode", "tokenize"},
     {"measure", "sensitivity"},
     {"calibrate", "quantize"},
     {"compress", "quantize"},
     {"benchmark", "bench"},
     {"generate", "run"}}};

// Empty text is text for these.
constexpr std::array<std::string_view, 3> kMayBeEmpty{"TEXT", "--prompt", "--system"};

CLI::App& chosen(CLI::App& app) {
  const std::vector<CLI::App*> parsed = app.get_subcommands();
  return parsed.empty() ? app : chosen(*parsed.back());
}

// "qvl bench image"
std::string full_name(CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : full_name(*app.get_parent()) + " " + app.get_name();
}

std::vector<std::string> commands_of(CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

std::vector<std::string> options_of(CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

bool is_option(std::string_view word) { return word.size() > 1 && word.front() == '-'; }

std::string meant_option(const std::string& given, CLI::App& command) {
  const std::vector<std::string> known = options_of(command);
  if (given.starts_with("--")) return nearest_word(given, known);
  // There are no options of one letter but -h: the only one that begins with it.
  std::vector<std::string> begin_so;
  for (const std::string& name : known) {
    if (given.size() == 2 && name.starts_with("--" + given.substr(1))) begin_so.push_back(name);
  }
  return begin_so.size() == 1 ? begin_so.front() : nearest_word("-" + given, known);
}

std::string unknown_command(const std::string& given, CLI::App& app) {
  const std::vector<std::string> known = commands_of(app);
  std::string meant = nearest_word(given, known);
  const auto other =
      std::ranges::find(kOtherWords, given, &std::pair<std::string_view, std::string_view>::first);
  if (other != kOtherWords.end() && std::ranges::find(known, other->second) != known.end())
    meant = other->second;
  if (given == "help") return fmt::format("there is no command help; `{} --help` helps", full_name(app));
  if (!meant.empty()) return fmt::format("there is no command {}; did you mean {}?", given, meant);
  return fmt::format("there is no command {}; there are {}", given, fmt::join(known, ", "));
}

// What was given and is not taken, in its order; "" for nothing.
std::string leftovers(CLI::App& app, CLI::App& command) {
  std::vector<std::string> texts;
  for (CLI::App* level = &command; level != nullptr; level = level->get_parent()) {
    std::vector<std::string> own;
    for (const std::string& word : level->remaining()) {
      if (level != &command) {
        own.push_back(fmt::format("{} before the command {}: what a command takes comes behind it", word,
                                  command.get_name()));
      } else if (is_option(word)) {
        const std::string name = word.substr(0, word.find('='));
        const std::string meant = meant_option(name, command);
        own.push_back("unknown option " + name +
                      (meant.empty() ? "" : fmt::format(" (did you mean {}?)", meant)));
      } else if (!commands_of(command).empty() && (&command == &app || command.get_name() == "bench")) {
        own.push_back(unknown_command(word, command));
        break;  // what follows belongs to it
      } else {
        own.push_back("unexpected argument " + word);
      }
    }
    texts.insert(texts.begin(), own.begin(), own.end());
  }
  return fmt::format("{}", fmt::join(texts, "; "));
}

// "a, b or c" of "{a,b,c}".
std::string one_of(std::string set) {
  std::vector<std::string> names;
  for (char& c : set) c = c == '{' || c == '}' ? ',' : c;
  for (std::size_t begin = 0; begin < set.size();) {
    const std::size_t end = std::min(set.find(',', begin), set.size());
    if (end > begin) names.push_back(set.substr(begin, end - begin));
    begin = end + 1;
  }
  if (names.empty()) return "";
  const std::string last = names.back();
  names.pop_back();
  return names.empty() ? last : fmt::format("{} or {}", fmt::join(names, ", "), last);
}

// What the option takes, of the descriptions of its checks.
std::string taken_by(CLI::Option& option) {
  const bool whole = option.get_type_name().starts_with("INT") || option.get_type_name().starts_with("UINT");
  std::string range = option.get_name() == kThreads ? fmt::format("0 to {}", kMostThreads) : "";
  for (int i = 0;; ++i) {
    std::string text;
    try {
      text = option.get_validator(i)->get_description();
    } catch (const CLI::OptionNotFound&) {
      break;
    }
    const std::size_t open = text.find(" in [");
    if (text.starts_with('{')) return one_of(text);
    if (open != std::string::npos && text.ends_with(']')) {
      range = text.substr(open + 5, text.size() - open - 6);
      range.replace(range.find(" - "), 3, " to ");
    } else if (range.empty() && text == "NONNEGATIVE") {
      range = "0 or more";
    } else if (range.empty() && text == "POSITIVE") {
      range = whole ? "1 or more" : "more than 0";
    }
  }
  const std::string kind = whole                                         ? "a whole number"
                           : option.get_type_name().starts_with("FLOAT") ? "a number"
                                                                         : "";
  return kind + (kind.empty() || range.empty() ? "" : ", ") + range;
}

// Of an option that the message of the parser names; null when it names none.
CLI::Option* named_option(CLI::App& command, std::string_view message) {
  for (CLI::Option* option : command.get_options([](CLI::Option*) { return true; })) {
    for (const std::string& name : {option->get_name(), option->get_name(false, true)}) {
      for (const std::string_view lead : {"", "Could not convert: ", "arguments to "}) {
        const std::size_t at = message.find(std::string(lead) + name);
        if (at == std::string_view::npos || (lead.empty() && at != 0)) continue;
        const std::string_view rest = message.substr(at + lead.size() + name.size());
        if (rest.empty() || std::string_view(": ,").find(rest.front()) != std::string_view::npos)
          return option;
      }
    }
  }
  return nullptr;
}

std::string wrong_value(CLI::App& command, CLI::Option& option, const CLI::ParseError& error) {
  const std::string name = option.get_name();
  const std::vector<std::string> given = option.results();
  const std::vector<std::string> known = options_of(command);
  const auto is_known = [&](const std::string& value) {
    return std::ranges::find(known, value) != known.end();
  };
  if (given.empty() || std::ranges::any_of(given, is_known)) return name + " needs a value";
  if (std::ranges::any_of(given, [](const std::string& value) { return value.empty(); }))
    return name + " is empty; a value is expected";
  if (error.get_name() == "ArgumentMismatch")
    return fmt::format("{} is given {} times; once is expected", name, given.size());
  const std::string taken = taken_by(option);
  if (taken.empty()) return error.what();
  return fmt::format("{} takes {}; {} is given", name, taken, fmt::join(given, ", "));
}

std::string missing_text(const std::vector<std::string>& missing) {
  return fmt::format("{} {} missing", fmt::join(missing, " and "), missing.size() > 1 ? "are" : "is");
}

std::string missing_arguments(CLI::App& command) {
  std::vector<std::string> missing;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_required() && option->count() == 0) missing.push_back(option->get_name());
  }
  if (!missing.empty()) return missing_text(missing);
  const std::vector<std::string> commands = commands_of(command);
  return commands.empty() ? "" : fmt::format("a command is missing: {}", fmt::join(commands, ", "));
}

std::string problem(CLI::App& app, CLI::App& command, const CLI::ParseError& error) {
  const bool value = error.get_name() != "RequiredError" && error.get_name() != "ExtrasError";
  if (CLI::Option* const option = value ? named_option(command, error.what()) : nullptr)
    return wrong_value(command, *option, error);
  std::string text = leftovers(app, command);
  const std::string missing = error.get_name() == "RequiredError" ? missing_arguments(command) : "";
  const bool is_name = &command == &app || command.get_name() == "bench";  // the leftover is a command's
  if (!missing.empty() && (text.empty() || !is_name)) text += (text.empty() ? "" : "; ") + missing;
  return text.empty() ? error.what() : text;
}

void add_checks(CLI::App& command) {
  CLI::Validator few_enough = CLI::Range(0, kMostThreads);
  few_enough.description("");  // the help says enough
  // A parser that wants a value takes an option for it.
  const CLI::Validator is_value(
      [known = options_of(command)](std::string& value) -> std::string {
        return value.empty() || std::ranges::find(known, value) != known.end() ? "no value" : "";
      },
      "");
  for (CLI::Option* option : command.get_options([](CLI::Option*) { return true; })) {
    if (option->get_items_expected_max() == 0) continue;  // a flag
    const std::string name = option->get_name();
    if (std::ranges::find(kMayBeEmpty, name) == kMayBeEmpty.end()) option->check(is_value);
    if (name == kThreads) option->check(few_enough);
  }
  for (CLI::App* below : command.get_subcommands([](CLI::App*) { return true; })) add_checks(*below);
}

}  // namespace

void add_common_checks(CLI::App& app) { add_checks(app); }

void require_given(const std::vector<std::pair<std::string, bool>>& arguments) {
  std::vector<std::string> missing;
  for (const auto& [name, given] : arguments) {
    if (!given) missing.push_back(name);
  }
  if (!missing.empty()) throw UsageError(missing_text(missing));
}

std::string usage_message(CLI::App& app, const CLI::ParseError& error) {
  CLI::App& command = chosen(app);
  return fmt::format("{}\n(`{} --help` tells what there is)", problem(app, command, error),
                     full_name(command));
}

}  // namespace qvl::cli
