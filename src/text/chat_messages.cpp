#include <fmt/format.h>

#include "core/json_text.h"
#include "qvl/error.h"
#include "text/chat_template.h"

namespace qvl {
namespace {

class MessageParser {
 public:
  explicit MessageParser(std::string_view source) : source_(source) {}

  std::vector<ChatMessage> run(const Json& root) {
    const Json* list = &root;
    if (root.is_object()) {
      const auto found = root.find("messages");
      if (found == root.end())
        fail("the top level", "an array of messages, or an object with `messages`", root);
      list = &*found;
    }
    if (!list->is_array())
      fail(root.is_object() ? "messages" : "the top level", "an array of messages", *list);
    std::vector<ChatMessage> messages;
    messages.reserve(list->size());
    for (std::size_t i = 0; i < list->size(); ++i)
      messages.push_back(message((*list)[i], fmt::format("messages[{}]", i)));
    return messages;
  }

 private:
  [[noreturn]] void fail(std::string_view field, std::string_view wanted, const Json& found) const {
    throw InputError(
        fmt::format("{}: {} must be {}, not {}{}", source_, field, wanted,
                    std::string_view("aeiou").find(found.type_name()[0]) != std::string_view::npos ? "an "
                    : found.is_null()                                                              ? ""
                                                                                                   : "a ",
                    found.type_name()));
  }

  [[nodiscard]] const Json& member(const Json& object, const char* name, const std::string& path) const {
    const auto found = object.find(name);
    if (found == object.end()) throw InputError(fmt::format("{}: {}.{} is missing", source_, path, name));
    return *found;
  }

  [[nodiscard]] std::string text_of(const Json& value, const std::string& path) const {
    if (!value.is_string()) fail(path, "a string", value);
    return value.get<std::string>();
  }

  [[nodiscard]] ChatMessage message(const Json& value, const std::string& path) const {
    if (!value.is_object()) fail(path, "an object with `role` and `content`", value);
    ChatMessage message;
    message.role = text_of(member(value, "role", path), path + ".role");
    const Json& content = member(value, "content", path);
    if (content.is_string()) {
      message.parts.push_back({ChatPart::Kind::text, content.get<std::string>()});
    } else if (content.is_array()) {
      message.parts.reserve(content.size());
      for (std::size_t i = 0; i < content.size(); ++i) {
        message.parts.push_back(part(content[i], fmt::format("{}.content[{}]", path, i)));
      }
    } else {
      fail(path + ".content", "a string or an array of parts", content);
    }
    return message;
  }

  // The template takes a part for a picture when any of three things says so, whatever its type.
  [[nodiscard]] ChatPart part(const Json& value, const std::string& path) const {
    if (!value.is_object()) fail(path, "an object with `type`", value);
    const auto type = value.find("type");
    const std::string kind = type == value.end() ? std::string() : text_of(*type, path + ".type");
    if (value.contains("image")) return {ChatPart::Kind::image, text_of(value["image"], path + ".image")};
    if (value.contains("image_url") || kind == "image_url") {
      return {ChatPart::Kind::image, url(member(value, "image_url", path), path + ".image_url")};
    }
    if (kind == "image") return {ChatPart::Kind::image, {}};
    if (kind.empty() || kind == "text") {
      return {ChatPart::Kind::text, text_of(member(value, "text", path), path + ".text")};
    }
    throw InputError(fmt::format("{}: {}.type is {}; text, image and image_url are supported", source_, path,
                                 Json(kind).dump()));
  }

  [[nodiscard]] std::string url(const Json& value, const std::string& path) const {
    if (value.is_string()) return value.get<std::string>();
    if (!value.is_object()) fail(path, "a URL or an object with `url`", value);
    return text_of(member(value, "url", path), path + ".url");
  }

  std::string source_;
};

}  // namespace

std::vector<ChatMessage> parse_messages(std::string_view json, std::string_view source) {
  return MessageParser(source).run(parse_json(json, source));
}

}  // namespace qvl
