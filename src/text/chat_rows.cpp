#include "text/chat_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "qvl/error.h"
#include "text/chat_parser.h"

namespace qvl {
namespace {

constexpr std::string_view kBlanks = " \t\r\f\v";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

void check_pictures(const std::vector<ChatMessage>& messages, const std::string& where) {
  for (std::size_t m = 0; m < messages.size(); ++m) {
    for (std::size_t p = 0; p < messages[m].parts.size(); ++p) {
      const ChatPart& part = messages[m].parts[p];
      if (part.kind != ChatPart::Kind::image) continue;
      const bool local = part.value.starts_with("data:") || part.value.starts_with("file://");
      const bool url = !local && part.value.find("://") != std::string::npos;
      if (!part.value.empty() && !url) continue;
      const std::string what =
          url ? fmt::format("at a URL ({}), which qvl does not fetch", part.value.substr(0, 80))
              : std::string("without a path");
      throw InputError(
          fmt::format("{}: messages[{}].content[{}] is a picture {}; the path of a picture file is expected",
                      where, m, p, what));
    }
  }
}

// An array whose elements are turns of a chat, not chats.
bool is_messages(const Json& value) {
  return value.is_array() && !value.empty() && value.front().is_object() &&
         (value.front().contains("role") || value.front().contains("from"));
}

// The last turn, where it is the assistant's: it is what should be answered.
std::optional<std::string> take_answer(std::vector<ChatMessage>& messages, const std::string& where) {
  if (messages.empty() || messages.back().role != "assistant") return std::nullopt;
  std::string answer;
  for (const ChatPart& part : messages.back().parts) {
    if (part.kind == ChatPart::Kind::image)
      throw InputError(where + ": the last message, the answer, holds a picture; a text is expected");
    answer += part.value;
  }
  messages.pop_back();
  if (messages.empty())
    throw InputError(where + ": the only message is the assistant's; a question before it is expected");
  return answer;
}

std::optional<std::string> answer_of(const Json& row, std::vector<ChatMessage>& messages,
                                     const std::string& where) {
  const auto given = [&](const char* key) {
    const auto found = row.is_object() ? row.find(key) : row.end();
    return found == row.end() || found->is_null() ? nullptr : &*found;
  };
  const Json* answer = given("answer");
  if (answer != nullptr && !answer->is_string())
    throw InputError(fmt::format("{}: answer must be a string, not {}", where, answer->type_name()));
  const std::optional<std::string> turn = take_answer(messages, where);
  const char* other = answer != nullptr ? "answer" : given("boxes") != nullptr ? "boxes" : nullptr;
  if (turn && other != nullptr) {
    throw InputError(
        fmt::format("{}: {} is there, and the last message is the assistant's; one of them is "
                    "expected to be what the model should say",
                    where, other));
  }
  return answer != nullptr ? answer->get<std::string>() : turn;
}

class RowReader {
 public:
  RowReader(std::string_view source, const std::function<void(const std::string&)>& on_warning)
      : source_(source), unknown_(on_warning) {}

  ChatSample line(std::string_view text, std::size_t number) {
    ChatSample sample;
    sample.line = number;
    sample.row = text;
    read(parse_json(text, where(sample), RepeatedKeys::refused), sample);
    return sample;
  }
  ChatSample element(const Json& row, std::size_t number, bool in_array) {
    ChatSample sample;
    sample.line = number;
    sample.in_array = in_array;
    sample.row = row.dump(-1, ' ', false, Json::error_handler_t::replace);
    read(row, sample);
    return sample;
  }

 private:
  [[nodiscard]] std::string where(const ChatSample& sample) const {
    return fmt::format("{}{}{}", source_, sample.in_array ? "" : ":", sample.place());
  }

  void read(const Json& row, ChatSample& sample) {
    const std::string at = where(sample);
    if (!row.is_object() && !is_messages(row)) {
      throw InputError(fmt::format("{}: an object with `messages` is expected, not {}", at, row.type_name()));
    }
    if (row.is_object() && !row.contains("messages") && !row.contains("conversations")) {
      std::string keys;
      for (const auto& [key, value] : row.items()) {
        keys += (keys.empty() ? "" : ", ") + key;
        if (keys.size() > 200) break;
      }
      throw InputError(fmt::format("{}: messages is missing (or conversations); {}", at,
                                   keys.empty() ? "the object is empty" : "there is " + keys));
    }
    const std::string place = fmt::format("{} {}", sample.in_array ? "chat" : "line", sample.line);
    sample.messages = ChatParser(at, place, unknown_).run(row, {"answer", "boxes"});
    if (sample.messages.empty()) throw InputError(at + ": messages has no message; one at least is expected");
    sample.answer = answer_of(row, sample.messages, at);
    check_pictures(sample.messages, at);
  }

  std::string source_;
  UnknownKeys unknown_;
};

// The text as one value, where it is not one value a line; null: it is lines.
Json whole_value(std::string_view text, std::string_view first_line, std::string_view source) {
  const std::size_t begin = first_line.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return nullptr;
  const char first = first_line[begin];
  if (first != '[' && first != '{') return nullptr;
  const bool only_line = text.find_first_not_of(" \t\r\f\v\n", first_line.size()) == std::string_view::npos;
  if (first == '{' && only_line) return nullptr;
  Json line;
  try {
    line = parse_json(first_line, source);
  } catch (const InputError&) {  // it goes on in the next line, or is broken
    if (first == '[') return parse_json(text, source, RepeatedKeys::refused);
    try {
      return parse_json(text, source, RepeatedKeys::refused);
    } catch (const InputError&) {
      return nullptr;  // an error of the line, which names it
    }
  }
  // Chats without a name for their messages, one a line.
  if (is_messages(line)) return nullptr;
  return first == '[' && only_line ? parse_json(text, source, RepeatedKeys::refused) : Json(nullptr);
}

}  // namespace

std::string ChatSample::place() const { return fmt::format("{}{}", in_array ? "#" : "", line); }

std::vector<ChatSample> parse_chat_lines(std::string_view text, std::string_view source, std::size_t limit,
                                         const std::function<void(const std::string&)>& on_warning) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  RowReader reader(source, on_warning);
  std::vector<ChatSample> samples;
  std::size_t line = 1;
  const auto wanted = [&] { return limit == 0 || samples.size() < limit; };
  for (; !text.empty() && wanted(); ++line) {
    const std::size_t end = text.find('\n');
    const std::string_view row = text.substr(0, end);
    if (samples.empty()) {
      const Json whole = whole_value(text, row, source);
      if (whole.is_object() || is_messages(whole)) {
        samples.push_back(reader.element(whole, line, false));
        return samples;
      }
      if (whole.is_array()) {
        for (std::size_t i = 0; i < whole.size() && wanted(); ++i)
          samples.push_back(reader.element(whole[i], i + 1, true));
        return samples;
      }
    }
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (row.find_first_not_of(kBlanks) != std::string_view::npos) samples.push_back(reader.line(row, line));
  }
  return samples;
}

}  // namespace qvl
