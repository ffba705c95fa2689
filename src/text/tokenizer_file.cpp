#include "text/tokenizer_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "core/json_text.h"
#include "qvl/error.h"
#include "text/byte_level.h"
#include "text/nfc.h"

namespace qvl {
namespace {

// GPT-2's pattern, which a ByteLevel pre-tokenizer with use_regex stands for.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class Parser {
 public:
  explicit Parser(std::string_view source) : source_(source) {}

  TokenizerFile run(const Json& root, std::span<const DeclaredToken> declared) {
    if (!root.is_object()) fail("the top level", "an object", root);
    vocabulary_and_merges(member(root, "model", ""));
    normalizer(root);
    pre_tokenizer(member(root, "pre_tokenizer", ""));
    post_processor(root);
    const Json& decoder = member(root, "decoder", "");
    expect_type(decoder, "decoder", "ByteLevel");
    added_tokens(root);
    for (const DeclaredToken& token : declared) declare(token);
    place_added();
    return std::move(file_);
  }

 private:
  // `found` is shortened: it comes from the file.
  [[noreturn]] void fail(std::string_view field, std::string_view wanted, const Json& found) const {
    std::string text =
        found.is_structured() ? std::string(found.is_array() ? "an array" : "an object") : found.dump();
    if (text.size() > 80) text = text.substr(0, valid_length(text, 80)) + "…";
    throw InputError(fmt::format("{}: {} must be {}, not {}", source_, field, wanted, text));
  }
  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(fmt::format("{}: {}", source_, message));
  }

  static std::size_t valid_length(std::string_view text, std::size_t limit) {
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0U) == 0x80U) --limit;
    return limit;
  }

  [[nodiscard]] const Json& member(const Json& object, const char* name, std::string_view path) const {
    const auto found = object.find(name);
    if (found == object.end()) fail(fmt::format("{}{} is missing", path, name));
    return *found;
  }
  [[nodiscard]] bool boolean(const Json& object, const char* name, std::string_view path) const {
    const Json& value = member(object, name, path);
    if (!value.is_boolean()) fail(fmt::format("{}{}", path, name), "true or false", value);
    return value.get<bool>();
  }
  void expect_type(const Json& object, std::string_view path, std::string_view type) const {
    if (!object.is_object()) fail(path, fmt::format("an object of type {}", type), object);
    const Json& found = member(object, "type", fmt::format("{}.", path));
    if (!found.is_string() || found.get_ref<const std::string&>() != type) {
      fail(fmt::format("{}.type", path), fmt::format("\"{}\"", type), found);
    }
  }
  // A field that may be missing or null, and is not supported otherwise but for the value that changes
  // nothing.
  void expect_unused(const Json& object, const char* name, std::string_view path,
                     const Json& harmless) const {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null() || *found == harmless) return;
    fail(fmt::format("{}{}", path, name), fmt::format("null or {}", harmless.dump()), *found);
  }

  void vocabulary_and_merges(const Json& model) {
    // Old files have no type here; the vocabulary and the merges tell that it is BPE.
    if (!model.is_object()) fail("model", "an object of type BPE", model);
    if (model.contains("type")) expect_type(model, "model", "BPE");
    expect_unused(model, "dropout", "model.", 0.0);
    expect_unused(model, "continuing_subword_prefix", "model.", "");
    expect_unused(model, "end_of_word_suffix", "model.", "");
    if (model.contains("ignore_merges")) file_.ignore_merges = boolean(model, "ignore_merges", "model.");
    vocabulary(member(model, "vocab", "model."));
    merges(member(model, "merges", "model."));
  }

  void vocabulary(const Json& vocab) {
    if (!vocab.is_object() || vocab.empty()) fail("model.vocab", "an object of tokens and ids", vocab);
    const std::size_t size = vocab.size();
    if (size > BytePairEncoder::kMaxTokens) {
      fail(fmt::format("model.vocab has {} tokens; at most {} are supported", size,
                       BytePairEncoder::kMaxTokens));
    }
    file_.vocabulary_size = size;
    std::vector<const std::string*> by_id(size);
    for (const auto& [content, value] : vocab.get_ref<const Json::object_t&>()) {
      // A negative number is a signed one, and not taken here.
      if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= size) {
        fail(fmt::format("model.vocab[{}]", quoted(content)), fmt::format("an id from 0 to {}", size - 1),
             value);
      }
      const auto id = value.get<std::size_t>();
      if (by_id[id] != nullptr) {
        fail(fmt::format("model.vocab has the id {} twice; ids must be 0 to {}, each once", id, size - 1));
      }
      by_id[id] = &content;
    }
    for (const std::string* content : by_id) file_.tokens.add(*content);
    for (unsigned byte = 0; byte < 256; ++byte) {
      const char character = static_cast<char>(static_cast<unsigned char>(byte));
      const std::string letter = to_byte_letters({&character, 1});
      const auto found = file_.tokens.find(letter);
      if (!found) {
        fail(fmt::format("model.vocab lacks \"{}\", the token of the byte {}; all 256 bytes must have one",
                         letter, byte));
      }
      file_.byte_ids[byte] = *found;
    }
  }

  static std::string quoted(const std::string& content) {
    return Json(content.substr(0, content.size() <= 80 ? content.size() : valid_length(content, 80))).dump();
  }

  void merges(const Json& merges) {
    if (!merges.is_array()) fail("model.merges", "an array of pairs of tokens", merges);
    if (merges.size() > BytePairEncoder::kMaxMerges) {
      fail(fmt::format("model.merges has {} entries; at most {} are supported", merges.size(),
                       BytePairEncoder::kMaxMerges));
    }
    file_.merges.reserve(merges.size());
    std::string joined;
    for (std::size_t i = 0; i < merges.size(); ++i) {
      if (merges[i].is_string() && merges[i].get_ref<const std::string&>().starts_with("#version")) continue;
      const auto [left, right] = pair(merges[i], i);
      joined.assign(left).append(right);
      file_.merges.push_back({token_of_merge(left, i), token_of_merge(right, i), token_of_merge(joined, i)});
    }
  }

  [[nodiscard]] std::pair<std::string_view, std::string_view> pair(const Json& merge,
                                                                   std::size_t index) const {
    if (merge.is_string()) {
      const std::string_view text = merge.get_ref<const std::string&>();
      const std::size_t space = text.find(' ');
      if (space != std::string_view::npos && text.find(' ', space + 1) == std::string_view::npos) {
        return {text.substr(0, space), text.substr(space + 1)};
      }
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      return {merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>()};
    }
    fail(fmt::format("model.merges[{}]", index), "\"a b\" or [\"a\", \"b\"]", merge);
  }

  [[nodiscard]] std::uint32_t token_of_merge(std::string_view content, std::size_t index) const {
    const auto found = file_.tokens.find(content);
    if (!found) {
      fail(fmt::format("model.merges[{}] needs the token {}, which is not in model.vocab", index,
                       quoted(std::string(content))));
    }
    return *found;
  }

  void normalizer(const Json& root) {
    const auto found = root.find("normalizer");
    if (found == root.end() || found->is_null()) return;
    if (found->is_object() && found->value("type", Json()) == "Sequence") {
      const Json& parts = member(*found, "normalizers", "normalizer.");
      if (!parts.is_array()) fail("normalizer.normalizers", "an array", parts);
      for (std::size_t i = 0; i < parts.size(); ++i) {
        expect_type(parts[i], fmt::format("normalizer.normalizers[{}]", i), "NFC");
        file_.nfc = true;
      }
      return;
    }
    expect_type(*found, "normalizer", "NFC");
    file_.nfc = true;
  }

  void pre_tokenizer(const Json& value) {
    if (!value.is_object() || value.value("type", Json()) != "Sequence") {
      byte_level(value, "pre_tokenizer");
      return;
    }
    const Json& parts = member(value, "pretokenizers", "pre_tokenizer.");
    if (!parts.is_array() || parts.empty() || parts.size() > 2) {
      fail("pre_tokenizer.pretokenizers", "[Split, ByteLevel] or [ByteLevel]", parts);
    }
    if (parts.size() == 2) split(parts[0], "pre_tokenizer.pretokenizers[0]");
    byte_level(parts.back(), fmt::format("pre_tokenizer.pretokenizers[{}]", parts.size() - 1));
  }

  void split(const Json& value, const std::string& path) {
    expect_type(value, path, "Split");
    const Json& pattern = member(value, "pattern", path + ".");
    if (!pattern.is_object() || !pattern.contains("Regex") || !pattern["Regex"].is_string()) {
      fail(path + ".pattern", "{\"Regex\": \"…\"}", pattern);
    }
    const Json& behavior = member(value, "behavior", path + ".");
    if (behavior != "Isolated") fail(path + ".behavior", "\"Isolated\"", behavior);
    if (boolean(value, "invert", path + ".")) fail(path + ".invert", "false", value["invert"]);
    file_.split_pattern = pattern["Regex"].get<std::string>();
  }

  void byte_level(const Json& value, const std::string& path) {
    expect_type(value, path, "ByteLevel");
    if (boolean(value, "add_prefix_space", path + "."))
      fail(path + ".add_prefix_space", "false", value["add_prefix_space"]);
    if (!value.value("use_regex", Json()).is_null() && !boolean(value, "use_regex", path + ".")) return;
    if (file_.split_pattern) fail(path + ".use_regex", "false behind a Split", true);
    file_.split_pattern = kGpt2Pattern;
  }

  void post_processor(const Json& root) {
    const auto found = root.find("post_processor");
    if (found != root.end() && !found->is_null()) expect_type(*found, "post_processor", "ByteLevel");
  }

  void added_tokens(const Json& root) {
    file_.special.assign(file_.tokens.size(), false);
    const auto found = root.find("added_tokens");
    if (found == root.end() || found->is_null()) return;
    if (!found->is_array()) fail("added_tokens", "an array", *found);
    for (std::size_t i = 0; i < found->size(); ++i) {
      const Json& entry = (*found)[i];
      const std::string path = fmt::format("added_tokens[{}].", i);
      AddedTokens::Token token = added_token(entry, path);
      const bool normalized = boolean(entry, "normalized", path);
      added_.push_back({std::move(token), normalized, path});
      file_.special[static_cast<std::size_t>(added_.back().token.id)] = boolean(entry, "special", path);
    }
  }

  // A token of another file. As tokenizers takes it that is handed it after the file: a new one gets the next
  // id, a known one keeps its own.
  void declare(const DeclaredToken& declared) {
    const auto known_added = std::ranges::find_if(
        added_, [&](const Added& a) { return a.token.content == declared.token.content; });
    if (known_added != added_.end() && !declared.id) return;
    const auto found = file_.tokens.find(declared.token.content);
    const std::size_t expected = found ? *found : file_.tokens.size();
    if (declared.id && *declared.id != static_cast<std::int64_t>(expected)) {
      throw InputError(fmt::format("{} is {}, with the id {}; {} {}", declared.place,
                                   quoted(declared.token.content), *declared.id,
                                   found ? "tokenizer.json gives it" : "the next free id is", expected));
    }
    if (!found) {
      file_.tokens.add(declared.token.content);
      file_.special.push_back(false);
    }
    AddedTokens::Token token = declared.token;
    token.id = static_cast<std::int64_t>(expected);
    if (declared.special) file_.special[expected] = true;
    if (known_added != added_.end()) {
      known_added->token = std::move(token);
      known_added->normalized = declared.normalized;
    } else {
      added_.push_back({std::move(token), declared.normalized, declared.place + ": "});
    }
  }

  void place_added() {
    std::unordered_set<std::string> raw;
    std::unordered_set<std::string> normalized;
    for (Added& added : added_) {
      AddedTokens::Token& token = added.token;
      const bool is_new = raw.insert(token.content).second;
      if (added.normalized && file_.nfc) {
        std::string buffer;
        std::string content(to_nfc(token.content, buffer));
        if (content != token.content)
          file_.normalized_tokens.emplace(static_cast<std::uint32_t>(token.id), content);
        token.content = std::move(content);
      }
      if (!is_new || (added.normalized && !normalized.insert(token.content).second)) {
        fail(fmt::format("{}content: there are two {} (after normalization, where it applies)", added.path,
                         quoted(token.content)));
      }
      (added.normalized ? file_.normalized_added : file_.raw_added).push_back(std::move(token));
    }
  }

  AddedTokens::Token added_token(const Json& entry, const std::string& path) {
    if (!entry.is_object()) fail(path.substr(0, path.size() - 1), "an object", entry);
    const Json& content = member(entry, "content", path);
    if (!content.is_string() || content.get_ref<const std::string&>().empty() ||
        content.get_ref<const std::string&>().size() > AddedTokens::kMaxContentBytes) {
      fail(path + "content", fmt::format("a string of 1 to {} bytes", AddedTokens::kMaxContentBytes),
           content);
    }
    AddedTokens::Token token;
    token.content = content.get<std::string>();
    const auto found = file_.tokens.find(token.content);
    const bool known = found && *found < file_.vocabulary_size;
    const std::size_t expected = known ? *found : file_.tokens.size();
    const Json& id = member(entry, "id", path);
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() != expected) {
      const char* why = known ? "the id of this token in model.vocab" : "the next free id; ids have no gaps";
      fail(path + "id", fmt::format("{} ({})", expected, why), id);
    }
    if (!known) {
      file_.tokens.add(token.content);
      file_.special.push_back(false);
    }
    token.id = static_cast<std::int64_t>(expected);
    token.single_word = boolean(entry, "single_word", path);
    token.lstrip = boolean(entry, "lstrip", path);
    token.rstrip = boolean(entry, "rstrip", path);
    return token;
  }

  struct Added {
    AddedTokens::Token token;
    bool normalized = false;
    std::string path;  // for messages
  };

  std::string source_;
  TokenizerFile file_;
  std::vector<Added> added_;
};

}  // namespace

TokenizerFile parse_tokenizer_file(std::string_view json, std::string_view source,
                                   std::span<const DeclaredToken> declared) {
  return Parser(source).run(parse_json(json, source), declared);
}

}  // namespace qvl
