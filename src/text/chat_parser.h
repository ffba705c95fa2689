// One chat out of JSON, in the layouts that people have their data in. Included by .cpp files only.
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_text.h"
#include "text/chat.h"

namespace qvl {

// Keys that nothing is done with, told once each.
class UnknownKeys {
 public:
  explicit UnknownKeys(std::function<void(const std::string&)> on_warning = {})
      : on_warning_(std::move(on_warning)) {}

  // `level` tells keys of rows, messages and parts apart, `place` is for the message ("line 2").
  void add(std::string_view level, const std::string& key, const std::string& place);

 private:
  std::function<void(const std::string&)> on_warning_;
  std::set<std::string> told_;
};

class ChatParser {
 public:
  // `source` names the chat in errors ("x.jsonl:2"), `place` in warnings ("line 2"). `unknown` must outlive
  // it.
  ChatParser(std::string_view source, std::string_view place, UnknownKeys& unknown)
      : source_(source), place_(place), unknown_(unknown) {}

  // As parse_messages says. `own_keys`: of the object, known to the caller.
  std::vector<ChatMessage> run(const Json& root, const std::set<std::string>& own_keys = {});

 private:
  [[noreturn]] void fail(std::string_view field, std::string_view wanted, const Json& found) const;
  [[noreturn]] void refuse(std::string_view what) const;
  [[nodiscard]] const Json& member(const Json& object, const char* name, const std::string& path) const;
  [[nodiscard]] std::string text_of(const Json& value, const std::string& path) const;
  [[nodiscard]] std::string role_of(const Json& value, const std::string& path) const;
  [[nodiscard]] std::string picture_of(const Json& value, const std::string& path) const;
  void read_row(const Json& row, const std::set<std::string>& own_keys);
  void read_images(const Json& row);
  void add_system(const Json& row, std::vector<ChatMessage>& messages) const;
  [[nodiscard]] ChatMessage message(const Json& value, const std::string& path);
  void add_part(const Json& value, const std::string& path, std::vector<ChatPart>& parts);
  // A text with <image> where pictures stand.
  void add_text(const std::string& text, const std::string& path, std::vector<ChatPart>& parts);
  // The next of `images`; empty where the row has none (left).
  std::string next_image();
  void check_images() const;

  std::string source_;
  std::string place_;
  UnknownKeys& unknown_;
  std::vector<std::string> images_;
  bool has_images_ = false;
  std::size_t images_used_ = 0;   // places for pictures of `images`
  std::size_t placeholders_ = 0;  // of them written <image>
};

}  // namespace qvl
