#include "text/declared_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

#include "core/json_text.h"
#include "core/text_file.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// Keeps the order of the file, which is that of new ids.
using FileOrder = nlohmann::ordered_json;

constexpr std::size_t kMaxBytes = std::size_t{16} << 20U;
constexpr std::array<std::string_view, 7> kNamed{"bos_token", "eos_token", "unk_token", "sep_token",
                                                 "pad_token", "cls_token", "mask_token"};

constexpr const char* kList = "additional_special_tokens";

FileOrder read_file(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return FileOrder::object();
  const std::string text = read_text_file(file, kMaxBytes);
  if (!parse_json(text, file.string()).is_object())  // its messages are better
    throw InputError(fmt::format("{}: an object is expected", file.string()));
  return FileOrder::parse(text);
}

class Reader {
 public:
  explicit Reader(fs::path folder)
      : folder_(std::move(folder)),
        config_file_(folder_ / "tokenizer_config.json"),
        config_(read_file(config_file_)) {}

  std::vector<DeclaredToken> run() {
    refuse("split_special_tokens", "special tokens are always taken whole here");
    refuse("add_prefix_space", "a blank is never added here");
    if (config_.contains("added_tokens_decoder")) {
      read_decoder(config_["added_tokens_decoder"]);
    } else {
      read_older_files();
    }
    read_special(config_, config_file_);
    return std::move(tokens_);
  }

 private:
  [[noreturn]] static void fail(const fs::path& file, std::string_view field, std::string_view wanted) {
    throw InputError(fmt::format("{}: {} must be {}", file.string(), field, wanted));
  }

  void refuse(const char* setting, const char* why) const {
    const auto found = config_.find(setting);
    if (found != config_.end() && found->is_boolean() && found->get<bool>())
      throw InputError(fmt::format("{}: {} is true; {}", config_file_.string(), setting, why));
  }

  static bool flag(const FileOrder& token, const char* name, bool otherwise) {
    const auto found = token.find(name);
    return found != token.end() && found->is_boolean() ? found->get<bool>() : otherwise;
  }

  // A string, or an object with `content`; nothing for null and for an empty text.
  static std::optional<DeclaredToken> token_of(const FileOrder& value, bool special, const fs::path& file,
                                               const std::string& field) {
    DeclaredToken declared;
    declared.place = fmt::format("{}: {}", file.string(), field);
    if (value.is_null()) return std::nullopt;
    const bool object = value.is_object() && value.contains("content") && value["content"].is_string();
    if (!value.is_string() && !object) fail(file, field, "a token, a string or an object with `content`");
    declared.token.content = (object ? value["content"] : value).get<std::string>();
    if (declared.token.content.size() > AddedTokens::kMaxContentBytes)
      fail(file, field, fmt::format("at most {} bytes long", AddedTokens::kMaxContentBytes));
    declared.special = special;
    if (object) {
      declared.special = special || flag(value, "special", false);
      declared.token.single_word = flag(value, "single_word", false);
      declared.token.lstrip = flag(value, "lstrip", false);
      declared.token.rstrip = flag(value, "rstrip", false);
    }
    declared.normalized = object ? flag(value, "normalized", !declared.special) : !declared.special;
    if (declared.token.content.empty()) return std::nullopt;
    return declared;
  }

  void read_decoder(const FileOrder& decoder) {
    if (!decoder.is_object()) fail(config_file_, "added_tokens_decoder", "an object of ids and tokens");
    for (const auto& [key, value] : decoder.items()) {
      const std::string field = fmt::format("added_tokens_decoder[\"{}\"]", key);
      std::int64_t id = -1;
      const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
      if (error != std::errc() || end != key.data() + key.size() || id < 0)
        fail(config_file_, field, "named by an id, a whole number from 0");
      if (!value.is_object()) fail(config_file_, field, "an object with `content`");
      auto declared = token_of(value, false, config_file_, field);
      if (!declared) fail(config_file_, field + ".content", "a text");
      declared->id = id;
      tokens_.push_back(std::move(*declared));
    }
    sort_by_id();
  }

  // What tokenizers wrote before tokenizer_config.json had added_tokens_decoder. Members of
  // special_tokens_map.json go before those of tokenizer_config.json, but for the list, of which the latter's
  // counts.
  void read_older_files() {
    const FileOrder map = read_file(folder_ / "special_tokens_map.json");
    const bool has_list = !list_of(config_).empty();
    for (const auto& [key, value] : map.items()) {
      if (key != kList || !has_list) config_[key] = value;
    }
    const fs::path file = folder_ / "added_tokens.json";
    const FileOrder added = read_file(file);
    read_special(config_, config_file_);
    const std::vector<DeclaredToken> special = std::move(tokens_);
    tokens_.clear();
    for (const auto& [content, id] : added.items()) {
      if (!id.is_number_unsigned()) fail(file, FileOrder(content).dump(), "an id, a whole number from 0");
      auto declared = token_of(content, is_among(special, content), file, FileOrder(content).dump());
      if (!declared) continue;
      declared->id = id.get<std::int64_t>();
      tokens_.push_back(std::move(*declared));
    }
    sort_by_id();
  }

  static bool is_among(const std::vector<DeclaredToken>& tokens, const std::string& content) {
    return std::ranges::any_of(tokens, [&](const DeclaredToken& t) { return t.token.content == content; });
  }

  void sort_by_id() {
    std::ranges::stable_sort(tokens_, {}, [](const DeclaredToken& t) { return t.id.value_or(0); });
  }

  void add_special(const FileOrder& value, const fs::path& file, const std::string& field) {
    if (auto declared = token_of(value, true, file, field)) tokens_.push_back(std::move(*declared));
  }

  // Named ones, those that only this model has ("image_token"), then the list.
  void read_special(const FileOrder& root, const fs::path& file) {
    for (const std::string_view name : kNamed) {
      const std::string key(name);
      if (root.contains(key)) add_special(root[key], file, key);
    }
    for (const auto& [key, value] : root.items()) {
      const bool token = value.is_string() || (value.is_object() && value.contains("content"));
      if (token && key.ends_with("_token") && std::ranges::find(kNamed, key) == kNamed.end())
        add_special(value, file, key);
    }
    const std::string list = list_of(root);
    if (list.empty()) return;
    if (!root[list].is_structured()) fail(file, list, "a list of tokens");
    for (const auto& [key, value] : root[list].items())
      add_special(value, file, fmt::format("{}[{}]", list, key));
  }

  // The name of the list that counts; empty where there is none.
  static std::string list_of(const FileOrder& root) {
    for (const char* name : {"extra_special_tokens", kList}) {
      if (root.contains(name) && !root[name].empty()) return name;
    }
    return {};
  }

  fs::path folder_;
  fs::path config_file_;
  FileOrder config_;
  std::vector<DeclaredToken> tokens_;
};

}  // namespace

std::vector<DeclaredToken> declared_tokens(const fs::path& folder) { return Reader(folder).run(); }

}  // namespace qvl
