#include "sensitivity/chat_samples.h"

#include <fmt/format.h>

#include <set>
#include <span>
#include <system_error>

#include "core/json_text.h"
#include "core/sha256.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBlanks = " \t\r\f\v";
constexpr std::size_t kMostNamed = 10;  // of missing pictures

void check_pictures(const std::vector<ChatMessage>& messages, const std::string& where) {
  for (std::size_t m = 0; m < messages.size(); ++m) {
    for (std::size_t p = 0; p < messages[m].parts.size(); ++p) {
      const ChatPart& part = messages[m].parts[p];
      if (part.kind != ChatPart::Kind::image) continue;
      const bool url = part.value.find("://") != std::string::npos || part.value.starts_with("data:");
      if (!part.value.empty() && !url) continue;
      throw InputError(
          fmt::format("{}: messages[{}].content[{}] is a picture {}; the path of a picture file is "
                      "expected",
                      where, m, p, url ? "at a URL, which qvl does not fetch" : "without a path"));
    }
  }
}

ChatSample parse_line(std::string_view text, std::string_view source, std::size_t line) {
  const std::string where = fmt::format("{}:{}", source, line);
  const Json row = parse_json(text, where);
  if (!row.is_object()) {
    throw InputError(
        fmt::format("{}: an object with `messages` is expected, not {}", where, row.type_name()));
  }
  if (!row.contains("messages")) throw InputError(where + ": messages is missing");
  ChatSample sample;
  sample.line = line;
  sample.row = text;
  sample.messages = parse_messages(text, where);
  if (sample.messages.empty())
    throw InputError(where + ": messages has no message; one at least is expected");
  check_pictures(sample.messages, where);
  if (const auto answer = row.find("answer"); answer != row.end() && !answer->is_null()) {
    if (!answer->is_string())
      throw InputError(fmt::format("{}: answer must be a string, not {}", where, answer->type_name()));
    sample.answer = answer->get<std::string>();
  }
  return sample;
}

std::vector<fs::path> picture_paths(const ChatSample& sample, const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const ChatMessage& message : sample.messages) {
    for (const ChatPart& part : message.parts) {
      // An absolute path stays as it is.
      if (part.kind == ChatPart::Kind::image) paths.push_back((folder / part.value).lexically_normal());
    }
  }
  return paths;
}

// With its length, so that "ab", "c" is not "a", "bc".
void add_text(Sha256& hash, std::string_view text) {
  const std::string length = fmt::format("{}:", text.size());
  hash.update(std::as_bytes(std::span(length)));
  hash.update(std::as_bytes(std::span(text)));
}

}  // namespace

std::vector<ChatSample> parse_chat_lines(std::string_view text, std::string_view source, std::size_t limit) {
  std::vector<ChatSample> samples;
  for (std::size_t line = 1; !text.empty() && (limit == 0 || samples.size() < limit); ++line) {
    const std::size_t end = text.find('\n');
    const std::string_view row = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (row.find_first_not_of(kBlanks) != std::string_view::npos)
      samples.push_back(parse_line(row, source, line));
  }
  return samples;
}

ChatSamples::ChatSamples(const fs::path& file, std::size_t limit)
    : file_name_(file.filename().string()),
      samples_(parse_chat_lines(read_text_file(file), file.string(), limit)) {
  if (samples_.empty()) {
    throw InputError(
        fmt::format("{} holds no sample; one chat a line is expected: {{\"messages\": […], "
                    "\"answer\": \"…\"}}",
                    file.string()));
  }
  const fs::path folder = fs::absolute(file).parent_path();
  std::set<fs::path> missing;
  std::string named;
  pictures_.reserve(samples_.size());
  for (std::size_t i = 0; i < samples_.size(); ++i) {
    pictures_.push_back(picture_paths(samples_[i], folder));
    for (const fs::path& path : pictures_.back()) {
      std::error_code error;
      if (fs::is_regular_file(path, error) || !missing.insert(path).second) continue;
      if (missing.size() <= kMostNamed) named += fmt::format("\n  {} ({})", path.string(), name(i));
    }
  }
  if (missing.empty()) return;
  if (missing.size() > kMostNamed) named += fmt::format("\n  and {} more", missing.size() - kMostNamed);
  throw InputError(fmt::format("{} names {} picture{} not there; paths are relative to its folder:{}",
                               file.string(), missing.size(), missing.size() == 1 ? " that is" : "s that are",
                               named));
}

std::string ChatSamples::name(std::size_t index) const {
  return fmt::format("{}:{}", file_name_, samples_.at(index).line);
}

const std::string& ChatSamples::row(std::size_t index) const { return samples_.at(index).row; }

const std::vector<ChatMessage>& ChatSamples::messages(std::size_t index) const {
  return samples_.at(index).messages;
}

const std::vector<fs::path>& ChatSamples::pictures(std::size_t index) const { return pictures_.at(index); }

const std::optional<std::string>& ChatSamples::answer(std::size_t index) const {
  return samples_.at(index).answer;
}

std::string ChatSamples::sha256(std::size_t index) const {
  const ChatSample& sample = samples_.at(index);
  Sha256 hash;
  std::size_t picture = 0;
  for (const ChatMessage& message : sample.messages) {
    add_text(hash, "message");
    add_text(hash, message.role);
    for (const ChatPart& part : message.parts) {
      const bool image = part.kind == ChatPart::Kind::image;
      add_text(hash, image ? "image" : "text");
      add_text(hash, image ? sha256_of_file(pictures_.at(index).at(picture++)) : part.value);
    }
  }
  add_text(hash, sample.answer ? "answer" : "no answer");
  if (sample.answer) add_text(hash, *sample.answer);
  return hash.hex();
}

}  // namespace qvl
