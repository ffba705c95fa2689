#include "text/folder_template.h"

#include <optional>
#include <system_error>

#include "core/json_text.h"
#include "core/text_file.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxTemplateBytes = std::size_t{16} << 20U;

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
  const std::string text = read_text_file(file, kMaxTemplateBytes);
  if (file.extension() == ".jinja") return text;
  const Json root = parse_json(text, file.string());
  if (!root.is_object() || !root.contains("chat_template")) return std::nullopt;
  return default_of(root["chat_template"]);
}

}  // namespace

FolderTemplate template_of(const fs::path& folder, const std::function<bool(std::string_view)>& known) {
  FolderTemplate found;
  const auto look = [&](const char* file) {
    const std::optional<std::string> text = template_in(folder / file);
    if (!text || found.kind == FolderTemplate::Kind::other) return;
    found.kind = known(*text) ? FolderTemplate::Kind::known : FolderTemplate::Kind::other;
    if (found.kind == FolderTemplate::Kind::other) found.file = file;
  };
  for (const char* file : {"processor_config.json", "chat_template.json", "chat_template.jinja"}) look(file);
  if (found.kind == FolderTemplate::Kind::none) look("tokenizer_config.json");
  return found;
}

}  // namespace qvl
