#include "text/known_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <system_error>

#include "core/json_text.h"
#include "core/sha256.h"
#include "core/text_file.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxBytes = std::size_t{16} << 20U;

// SHA-256 of the texts, as `normalised` leaves them. Nothing here renders templates, so a template is known
// by its text; one of the same behaviour in other words is not.
constexpr std::array<std::string_view, 2> kKnown{
    // Published with Qwen2-VL and Qwen2.5-VL of all sizes (chat_template.json).
    "a0bc6f6fc7a29a80017a433e8f03a1cc1236e838a944a2d034295a60c4f2fddb",
    // That of the demo checkpoint: the same, without videos.
    "5033d7a2c30d91821e0fa53466ff2e976dc4d493a89445100374be255651c34d",
};

// Line ends of one kind; a line end behind the text, which Jinja drops, is none.
std::string normalised(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out += text[i];
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

// The text, or of several named ones the default. Nothing: there is no template. What is none at all counts
// as one that is not known.
std::optional<std::string> default_of(const Json& value) {
  if (value.is_null()) return std::nullopt;
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object()) return value.contains("default") ? default_of(value["default"]) : std::string();
  if (!value.is_array()) return std::string();
  for (const Json& entry : value) {
    if (entry.is_object() && entry.value("name", Json()) == "default" && entry.contains("template"))
      return default_of(entry["template"]);
  }
  return std::string();
}

std::optional<std::string> template_in(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return std::nullopt;
  const std::string text = read_text_file(file, kMaxBytes);
  if (file.extension() == ".jinja") return text;
  const Json root = parse_json(text, file.string());
  if (!root.is_object() || !root.contains("chat_template")) return std::nullopt;
  return default_of(root["chat_template"]);
}

}  // namespace

bool is_known_template(std::string_view text) {
  return std::ranges::find(kKnown, sha256_of(normalised(text))) != kKnown.end();
}

FolderTemplate template_of(const fs::path& folder) {
  FolderTemplate found;
  const auto look = [&](const char* file) {
    const std::optional<std::string> text = template_in(folder / file);
    if (!text || found.kind == FolderTemplate::Kind::other) return;
    found.kind = is_known_template(*text) ? FolderTemplate::Kind::known : FolderTemplate::Kind::other;
    if (found.kind == FolderTemplate::Kind::other) found.file = file;
  };
  for (const char* file : {"processor_config.json", "chat_template.json", "chat_template.jinja"}) look(file);
  if (found.kind == FolderTemplate::Kind::none) look("tokenizer_config.json");
  return found;
}

void require_known_template(const fs::path& folder, const InputOptions& input) {
  if (input.any_chat_template) return;
  const FolderTemplate found = template_of(folder);
  if (found.kind == FolderTemplate::Kind::none) {
    input.warn(
        fmt::format("{} has no chat template; prompts are written as Qwen2.5-VL's does (--chat-template "
                    "qwen says that this is meant)",
                    folder.string()));
  }
  if (found.kind != FolderTemplate::Kind::other) return;
  throw InputError(fmt::format(
      "the chat template in {} is not Qwen2.5-VL's as published, and qvl renders no other: prompts "
      "would be other ones than the model was trained with (--chat-template qwen writes them as "
      "Qwen2.5-VL's does, which is right where this one only has another wording)",
      (folder / found.file).string()));
}

}  // namespace qvl
