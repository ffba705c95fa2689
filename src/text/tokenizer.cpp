#include "text/tokenizer.h"

#include <fmt/format.h>

#include <mutex>
#include <unordered_map>
#include <variant>

#include "core/json_text.h"
#include "qvl/error.h"
#include "text/added_tokens.h"
#include "text/byte_level.h"
#include "text/byte_pair_encoder.h"
#include "text/nfc.h"
#include "text/qwen2_split.h"
#include "text/regex_split.h"
#include "text/tokenizer_file.h"
#include "text/utf8.h"
#include "text/word_cache.h"

namespace qvl {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20U;
constexpr std::size_t kMaxTextBytes = BytePairEncoder::kMaxPieceBytes;

// Many strings, one after the other in one block.
class StringTable {
 public:
  void add(std::string_view text) {
    block_.append(text);
    ends_.push_back(block_.size());
  }
  [[nodiscard]] std::size_t size() const noexcept { return ends_.size(); }
  [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept {
    const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(block_).substr(begin, ends_[i] - begin);
  }

 private:
  std::string block_;
  std::vector<std::size_t> ends_;
};

// What a call of encode() needs besides the tokenizer.
struct Workspace {
  WordCache words;
  BytePairEncoder::Workspace pairs;
  RegexSplitter::Workspace regex;
  std::string normalized;
};

class WorkspacePool {
 public:
  std::unique_ptr<Workspace> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<Workspace>();
    std::unique_ptr<Workspace> workspace = std::move(free_.back());
    free_.pop_back();
    return workspace;
  }
  void give_back(std::unique_ptr<Workspace> workspace) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(workspace));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Workspace>> free_;
};

}  // namespace

struct Tokenizer::State {
  State(const TokenizerFile& file, std::string_view source)
      : nfc(file.nfc),
        ignore_merges(file.ignore_merges),
        special(file.special),
        normalized_tokens(file.normalized_tokens),
        raw_added(file.raw_added),
        normalized_added(file.normalized_added),
        pairs(file.byte_ids, file.merges) {
    for (std::size_t id = 0; id < file.tokens.size(); ++id) {
      contents.add(file.tokens[id]);
      const auto normalized = normalized_tokens.find(static_cast<std::uint32_t>(id));
      const std::string& token = normalized == normalized_tokens.end() ? file.tokens[id] : normalized->second;
      bytes.add(from_byte_letters(token).value_or(token));
    }
    ids.reserve(contents.size());
    for (std::size_t id = 0; id < contents.size(); ++id) ids.emplace(contents[id], static_cast<TokenId>(id));
    vocabulary_size = file.vocabulary_size;
    if (!file.split_pattern) return;
    if (*file.split_pattern == Qwen2Splitter::kPattern) {
      splitter.emplace<Qwen2Splitter>();
    } else {
      splitter.emplace<RegexSplitter>(*file.split_pattern, fmt::format("{}: pre_tokenizer", source));
    }
  }

  void encode_segment(std::string_view segment, Workspace& workspace, std::vector<TokenId>& out) const;
  void encode_text(std::string_view text, Workspace& workspace, std::vector<TokenId>& out) const;
  void encode_piece(std::string_view piece, bool readable, Workspace& workspace, std::vector<TokenId>& out) const;
  void encode_new_piece(std::string_view piece, Workspace& workspace, std::vector<TokenId>& out) const;

  bool nfc = false;
  bool ignore_merges = false;
  std::vector<bool> special;  // by id, as the two tables
  std::unordered_map<std::uint32_t, std::string> normalized_tokens;
  StringTable contents;
  StringTable bytes;
  std::unordered_map<std::string_view, TokenId> ids;  // of contents
  std::size_t vocabulary_size = 0;                    // without added tokens
  AddedTokens raw_added;
  AddedTokens normalized_added;
  BytePairEncoder pairs;
  std::variant<std::monostate, Qwen2Splitter, RegexSplitter> splitter;
  mutable WorkspacePool workspaces;
};

// Text between two added tokens that are looked for in the text as given.
void Tokenizer::State::encode_segment(std::string_view segment, Workspace& workspace, std::vector<TokenId>& out) const {
  const std::string_view text = nfc ? to_nfc(segment, workspace.normalized) : segment;
  if (normalized_added.empty()) {
    encode_text(text, workspace, out);
    return;
  }
  normalized_added.split(
      text, [&](std::string_view part) { encode_text(part, workspace, out); }, [&](TokenId id) { out.push_back(id); });
}

void Tokenizer::State::encode_text(std::string_view text, Workspace& workspace, std::vector<TokenId>& out) const {
  const char* end = text.data() + text.size();
  if (const auto* qwen2 = std::get_if<Qwen2Splitter>(&splitter)) {
    for (const char* piece = text.data(); piece != end;) {
      const char* next = qwen2->piece_end(piece, end);
      encode_piece({piece, static_cast<std::size_t>(next - piece)}, end - piece >= 16, workspace, out);
      piece = next;
    }
  } else if (const auto* regex = std::get_if<RegexSplitter>(&splitter)) {
    regex->split(text, workspace.regex, [&](std::string_view piece) {
      encode_piece(piece, end - piece.data() >= 16, workspace, out);
    });
  } else if (!text.empty()) {
    encode_piece(text, text.size() >= 16, workspace, out);
  }
}

void Tokenizer::State::encode_piece(std::string_view piece, bool readable, Workspace& workspace,
                                    std::vector<TokenId>& out) const {
  if (piece.size() > WordCache::kMaxBytes) {
    encode_new_piece(piece, workspace, out);
    return;
  }
  const WordCache::Key key = WordCache::key_of(piece, readable);
  if (const WordCache::Entry* entry = workspace.words.find(key)) {
    for (std::uint32_t i = 0; i < entry->count; ++i) out.push_back(entry->ids[i]);
    return;
  }
  const std::size_t before = out.size();
  encode_new_piece(piece, workspace, out);
  const std::size_t count = out.size() - before;
  if (count <= WordCache::kMaxTokens) workspace.words.insert(key, out.data() + before, count);
}

void Tokenizer::State::encode_new_piece(std::string_view piece, Workspace& workspace, std::vector<TokenId>& out) const {
  if (ignore_merges) {
    const auto whole = ids.find(to_byte_letters(piece));
    if (whole != ids.end() && static_cast<std::size_t>(whole->second) < vocabulary_size) {
      out.push_back(whole->second);
      return;
    }
  }
  pairs.encode(piece, workspace.pairs, out);
}

Tokenizer::Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(const Tokenizer&) = default;
Tokenizer& Tokenizer::operator=(const Tokenizer&) = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer Tokenizer::load(const std::filesystem::path& tokenizer_json) {
  return parse(read_text_file(tokenizer_json, kMaxFileBytes), tokenizer_json.string());
}

Tokenizer Tokenizer::parse(std::string_view json, std::string_view source) {
  return Tokenizer(std::make_shared<const State>(parse_tokenizer_file(json, source), source));
}

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  if (text.size() > kMaxTextBytes) {
    throw InputError(fmt::format("a text of {} bytes is too long to encode; at most {} are taken at once", text.size(),
                                 kMaxTextBytes));
  }
  std::string mended;
  if (valid_utf8_prefix(text) != text.size()) {
    mended = replace_invalid_utf8(text);
    // Each bad byte may have become three.
    if (mended.size() > kMaxTextBytes) throw InputError("a text of over 1 GiB, most of it not UTF-8, is too long to encode");
    text = mended;
  }
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 4 + 1);
  std::unique_ptr<Workspace> workspace = state_->workspaces.take();
  state_->raw_added.split(
      text, [&](std::string_view segment) { state_->encode_segment(segment, *workspace, ids); },
      [&](TokenId id) { ids.push_back(id); });
  // Not after an exception: the workspace is simply freed then.
  state_->workspaces.give_back(std::move(workspace));
  return ids;
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special) const {
  std::string bytes;
  for (const TokenId id : ids) {
    if (!skip_special || !is_special(id)) bytes.append(token_bytes(id));
  }
  if (valid_utf8_prefix(bytes) == bytes.size()) return bytes;
  return replace_invalid_utf8(bytes);
}

std::optional<TokenId> Tokenizer::token_id(std::string_view content) const {
  const auto found = state_->ids.find(content);
  if (found == state_->ids.end()) return std::nullopt;
  return found->second;
}

std::string Tokenizer::token(TokenId id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= vocab_size()) return {};
  const auto normalized = state_->normalized_tokens.find(static_cast<std::uint32_t>(id));
  if (normalized != state_->normalized_tokens.end()) return normalized->second;
  return std::string(state_->contents[static_cast<std::size_t>(id)]);
}

std::string_view Tokenizer::token_bytes(TokenId id) const noexcept {
  if (id < 0 || static_cast<std::size_t>(id) >= vocab_size()) return {};
  return state_->bytes[static_cast<std::size_t>(id)];
}

bool Tokenizer::is_special(TokenId id) const noexcept {
  return id >= 0 && static_cast<std::size_t>(id) < vocab_size() && state_->special[static_cast<std::size_t>(id)];
}

std::size_t Tokenizer::vocab_size() const noexcept { return state_->contents.size(); }

}  // namespace qvl
