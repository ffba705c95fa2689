#include "text/chat_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::string_view kPlaceholder = "<image>";
constexpr std::size_t kLongestShown = 80;

// In quotes, cut where it is long.
std::string shown(std::string_view text) {
  const std::string whole = Json(std::string(text)).dump(-1, ' ', false, Json::error_handler_t::replace);
  return whole.size() <= kLongestShown ? whole : whole.substr(0, kLongestShown) + "…\"";
}

// Absent, null, "", [] or {}: forms of tables have every column in every row.
bool is_empty(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return true;
  if (found->is_string()) return found->get_ref<const std::string&>().empty();
  return found->is_structured() && found->empty();
}

bool has_value(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && !found->is_null();
}

}  // namespace

void UnknownKeys::add(std::string_view level, const std::string& key, const std::string& place) {
  if (!told_.insert(fmt::format("{} {}", level, key)).second || !on_warning_) return;
  on_warning_(fmt::format("unknown key {} in {}: ignored", shown(key), place));
}

void ChatParser::fail(std::string_view field, std::string_view wanted, const Json& found) const {
  const bool vowel = std::string_view("aeiou").find(found.type_name()[0]) != std::string_view::npos;
  throw InputError(fmt::format("{}: {} must be {}, not {}{}", source_, field, wanted,
                               found.is_null() ? ""
                               : vowel         ? "an "
                                               : "a ",
                               found.type_name()));
}

void ChatParser::refuse(std::string_view what) const {
  throw InputError(fmt::format("{}: {}", source_, what));
}

const Json& ChatParser::member(const Json& object, const char* name, const std::string& path) const {
  const auto found = object.find(name);
  if (found == object.end()) refuse(fmt::format("{}.{} is missing", path, name));
  return *found;
}

std::string ChatParser::text_of(const Json& value, const std::string& path) const {
  if (!value.is_string()) fail(path, "a string", value);
  return value.get<std::string>();
}

// The names of ShareGPT stand for those of the template.
std::string ChatParser::role_of(const Json& value, const std::string& path) const {
  constexpr std::array<std::array<std::string_view, 2>, 5> kRoles{{{"system", "system"},
                                                                   {"user", "user"},
                                                                   {"human", "user"},
                                                                   {"assistant", "assistant"},
                                                                   {"gpt", "assistant"}}};
  const std::string name = text_of(value, path);
  for (const auto& [known, role] : kRoles) {
    if (name == known) return std::string(role);
  }
  refuse(
      fmt::format("{} is {}; system, user (or human) and assistant (or gpt) are known", path, shown(name)));
}

// A path or URL, or an object with one.
std::string ChatParser::picture_of(const Json& value, const std::string& path) const {
  if (!value.is_object()) return text_of(value, path);
  if (has_value(value, "path") && !has_value(value, "url")) return text_of(value["path"], path + ".path");
  return text_of(member(value, "url", path), path + ".url");
}

std::vector<ChatMessage> ChatParser::run(const Json& root, const std::set<std::string>& own_keys) {
  const char* name = "messages";
  const Json* list = &root;
  if (root.is_object()) {
    if (root.contains("conversations")) name = "conversations";
    if (root.contains("conversations") && root.contains("messages"))
      refuse("messages and conversations are both there; one of them is expected");
    const auto found = root.find(name);
    if (found == root.end())
      fail("the top level", "an array of messages, or an object with `messages` or `conversations`", root);
    list = &*found;
    read_row(root, own_keys);
  }
  if (!list->is_array()) fail(root.is_object() ? name : "the top level", "an array of messages", *list);
  std::vector<ChatMessage> messages;
  messages.reserve(list->size());
  for (std::size_t i = 0; i < list->size(); ++i)
    messages.push_back(message((*list)[i], fmt::format("{}[{}]", name, i)));
  if (root.is_object()) add_system(root, messages);
  check_images();
  return messages;
}

void ChatParser::read_row(const Json& row, const std::set<std::string>& own_keys) {
  static const std::set<std::string> known{"messages", "conversations", "system", "image", "images"};
  // Where a row comes from says nothing to the model.
  static const std::set<std::string> harmless{"id", "source", "reference", "dataset", "split", "metadata"};
  for (const char* media : {"video", "videos", "audio", "audios"}) {
    if (!is_empty(row, media)) refuse(fmt::format("{}: only pictures are supported in a chat", media));
  }
  if (!is_empty(row, "tools")) refuse("tools: descriptions of tools are not supported in a chat");
  for (const auto& [key, value] : row.items()) {
    if (known.contains(key) || own_keys.contains(key) || harmless.contains(key) || is_empty(row, key.c_str()))
      continue;
    unknown_.add("row", key, place_);
  }
  read_images(row);
}

// The columns `images` and `image`: one path, or several.
void ChatParser::read_images(const Json& row) {
  if (!is_empty(row, "image") && !is_empty(row, "images"))
    refuse("image and images are both there; one of them is expected");
  const char* name = is_empty(row, "image") ? "images" : "image";
  if (is_empty(row, name)) return;
  has_images_ = true;
  const Json& value = row[name];
  if (!value.is_array()) {
    images_.push_back(picture_of(value, name));
    return;
  }
  for (std::size_t i = 0; i < value.size(); ++i)
    images_.push_back(picture_of(value[i], fmt::format("{}[{}]", name, i)));
}

void ChatParser::add_system(const Json& row, std::vector<ChatMessage>& messages) const {
  if (is_empty(row, "system")) return;
  const std::string text = text_of(row["system"], "system");
  if (!messages.empty() && messages.front().role == "system")
    refuse("system is there, and the first message is one, too; one of them is expected");
  messages.insert(messages.begin(), ChatMessage{"system", {{ChatPart::Kind::text, text}}});
}

ChatMessage ChatParser::message(const Json& value, const std::string& path) {
  static const std::set<std::string> known{"role", "content", "from", "value"};
  if (!value.is_object()) fail(path, "an object with `role` and `content`", value);
  const bool sharegpt = value.contains("from") && !value.contains("role");
  const char* role = sharegpt ? "from" : "role";
  const char* content = sharegpt ? "value" : "content";
  if (!is_empty(value, "tool_calls"))
    refuse(path + ".tool_calls: calls of tools are not supported in a chat");
  ChatMessage message;
  message.role = role_of(member(value, role, path), fmt::format("{}.{}", path, role));
  const Json& said = member(value, content, path);
  const std::string said_path = fmt::format("{}.{}", path, content);
  if (said.is_string()) {
    add_text(said.get_ref<const std::string&>(), said_path, message.parts);
  } else if (said.is_array()) {
    message.parts.reserve(said.size());
    for (std::size_t i = 0; i < said.size(); ++i)
      add_part(said[i], fmt::format("{}[{}]", said_path, i), message.parts);
  } else {
    fail(said_path, "a string or an array of parts", said);
  }
  for (const auto& [key, ignored] : value.items()) {
    if (!known.contains(key) && !is_empty(value, key.c_str()))
      unknown_.add("message", key, fmt::format("{}, {}", place_, path));
  }
  return message;
}

// The template takes a part for a picture when any of three things says so, whatever its type.
void ChatParser::add_part(const Json& value, const std::string& path, std::vector<ChatPart>& parts) {
  static const std::set<std::string> known{"type", "text", "image", "image_url"};
  if (!value.is_object()) fail(path, "an object with `type`", value);
  const auto type = value.find("type");
  const std::string kind = type == value.end() ? std::string() : text_of(*type, path + ".type");
  if (has_value(value, "video")) refuse(path + " is a video; text and pictures are supported");
  for (const auto& [key, ignored] : value.items()) {
    if (!known.contains(key) && !is_empty(value, key.c_str()))
      unknown_.add("part", key, fmt::format("{}, {}", place_, path));
  }
  const bool picture = has_value(value, "image") || has_value(value, "image_url");
  if (picture && !is_empty(value, "text"))
    refuse(path + " has a picture and a text; a part of its own is expected for each");
  if (has_value(value, "image")) {
    parts.push_back({ChatPart::Kind::image, picture_of(value["image"], path + ".image")});
  } else if (has_value(value, "image_url") || kind == "image_url") {
    const Json& url = member(value, "image_url", path);
    if (!url.is_string() && !url.is_object()) fail(path + ".image_url", "a URL or an object with `url`", url);
    parts.push_back({ChatPart::Kind::image, picture_of(url, path + ".image_url")});
  } else if (kind == "image") {
    parts.push_back({ChatPart::Kind::image, next_image()});
  } else if (kind.empty() || kind == "text") {
    add_text(text_of(member(value, "text", path), path + ".text"), path + ".text", parts);
  } else {
    refuse(fmt::format("{}.type is {}; text, image and image_url are supported", path, shown(kind)));
  }
}

void ChatParser::add_text(const std::string& text, const std::string& path, std::vector<ChatPart>& parts) {
  for (const char* media : {"<video>", "<audio>"}) {
    if (text.find(media) != std::string::npos)
      refuse(fmt::format("{} holds {}; only pictures are supported in a chat", path, media));
  }
  std::size_t begin = 0;
  for (std::size_t at = 0; (at = text.find(kPlaceholder, begin)) != std::string::npos;) {
    if (at > begin) parts.push_back({ChatPart::Kind::text, text.substr(begin, at - begin)});
    ++placeholders_;
    parts.push_back({ChatPart::Kind::image, next_image()});
    begin = at + kPlaceholder.size();
  }
  if (begin < text.size() || begin == 0) parts.push_back({ChatPart::Kind::text, text.substr(begin)});
}

std::string ChatParser::next_image() {
  const std::size_t index = images_used_++;
  return index < images_.size() ? images_[index] : std::string();
}

void ChatParser::check_images() const {
  if (!has_images_ && placeholders_ == 0) return;  // parts without a path are their reader's matter
  if (images_used_ == images_.size()) return;
  refuse(fmt::format("{} place{} for pictures of `images` ({}), and {} in `images`; as many are expected",
                     images_used_, images_used_ == 1 ? "" : "s",
                     placeholders_ > 0 ? "<image>" : "image parts without a path",
                     images_.empty() ? "none" : std::to_string(images_.size())));
}

std::vector<ChatMessage> parse_messages(std::string_view json, std::string_view source,
                                        const std::function<void(const std::string&)>& on_warning) {
  UnknownKeys unknown(on_warning);
  return ChatParser(source, source, unknown)
      .run(parse_json(json, source, RepeatedKeys::refused), {"answer", "boxes"});
}

}  // namespace qvl
