#include "text/tokenizer.h"

#include <fmt/format.h>

#include <mutex>
#include <unordered_map>
#include <variant>

#include "core/text_file.h"
#include "qvl/error.h"
#include "text/added_tokens.h"
#include "text/byte_level.h"
#include "text/byte_pair_encoder.h"
#include "text/declared_tokens.h"
#include "text/nfc.h"
#include "text/qwen2_split.h"
#include "text/regex_split.h"
#include "text/token_table.h"
#include "text/tokenizer_file.h"
#include "text/utf8.h"
#include "text/word_cache.h"

namespace qvl {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20U;
constexpr std::size_t kMaxTextBytes = BytePairEncoder::kMaxPieceBytes;

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
  State(TokenizerFile file, std::string_view source)
      : nfc(file.nfc),
        ignore_merges(file.ignore_merges),
        vocabulary_size(file.vocabulary_size),
        special(std::move(file.special)),
        normalized_tokens(std::move(file.normalized_tokens)),
        tokens(std::move(file.tokens)),
        raw_added(std::move(file.raw_added)),
        normalized_added(std::move(file.normalized_added)),
        pairs(file.byte_ids, file.merges) {
    for (std::size_t id = 0; id < tokens.size(); ++id) {
      const auto normalized = normalized_tokens.find(static_cast<std::uint32_t>(id));
      const std::string_view token = normalized == normalized_tokens.end() ? tokens[id] : normalized->second;
      if (const auto decoded = from_byte_letters(token)) {
        bytes.add(*decoded);
      } else {
        bytes.add(token);
      }
    }
    if (!file.split_pattern) return;
    if (*file.split_pattern == Qwen2Splitter::kPattern) {
      splitter.emplace<Qwen2Splitter>();
    } else {
      splitter.emplace<RegexSplitter>(*file.split_pattern, fmt::format("{}: pre_tokenizer", source));
    }
  }

  void encode_segment(std::string_view segment, Workspace& workspace, std::vector<TokenId>& out) const;
  void encode_text(std::string_view text, Workspace& workspace, std::vector<TokenId>& out) const;
  void encode_piece(std::string_view piece, bool readable, Workspace& workspace,
                    std::vector<TokenId>& out) const;
  void encode_new_piece(std::string_view piece, Workspace& workspace, std::vector<TokenId>& out) const;

  bool nfc = false;
  bool ignore_merges = false;
  std::size_t vocabulary_size = 0;  // without added tokens
  std::vector<bool> special;        // by id
  std::unordered_map<std::uint32_t, std::string> normalized_tokens;
  TokenTable tokens;
  StringBlock bytes;  // by id
  AddedTokens raw_added;
  AddedTokens normalized_added;
  BytePairEncoder pairs;
  std::variant<std::monostate, Qwen2Splitter, RegexSplitter> splitter;
  mutable WorkspacePool workspaces;
};

// Text between two added tokens that are looked for in the text as given.
void Tokenizer::State::encode_segment(std::string_view segment, Workspace& workspace,
                                      std::vector<TokenId>& out) const {
  const std::string_view text = nfc ? to_nfc(segment, workspace.normalized) : segment;
  if (normalized_added.empty()) {
    encode_text(text, workspace, out);
    return;
  }
  normalized_added.split(
      text, [&](std::string_view part) { encode_text(part, workspace, out); },
      [&](TokenId id) { out.push_back(id); });
}

void Tokenizer::State::encode_text(std::string_view text, Workspace& workspace,
                                   std::vector<TokenId>& out) const {
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

void Tokenizer::State::encode_new_piece(std::string_view piece, Workspace& workspace,
                                        std::vector<TokenId>& out) const {
  if (ignore_merges) {
    const auto whole = tokens.find(to_byte_letters(piece));
    if (whole && *whole < vocabulary_size) {
      out.push_back(*whole);
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
  const std::string source = tokenizer_json.string();
  const std::vector<DeclaredToken> declared =
      declared_tokens(tokenizer_json.has_parent_path() ? tokenizer_json.parent_path() : ".");
  return Tokenizer(std::make_shared<const State>(
      parse_tokenizer_file(read_text_file(tokenizer_json, kMaxFileBytes), source, declared), source));
}

Tokenizer Tokenizer::parse(std::string_view json, std::string_view source) {
  return Tokenizer(std::make_shared<const State>(parse_tokenizer_file(json, source), source));
}

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  if (text.size() > kMaxTextBytes) {
    throw InputError(fmt::format("a text of {} bytes is too long to encode; at most {} are taken at once",
                                 text.size(), kMaxTextBytes));
  }
  std::string mended;
  if (valid_utf8_prefix(text) != text.size()) {
    mended = replace_invalid_utf8(text);
    // Each bad byte may have become three.
    if (mended.size() > kMaxTextBytes)
      throw InputError("a text of over 1 GiB, most of it not UTF-8, is too long to encode");
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
  return state_->tokens.find(content);
}

std::string Tokenizer::token(TokenId id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= vocab_size()) return {};
  const auto normalized = state_->normalized_tokens.find(static_cast<std::uint32_t>(id));
  if (normalized != state_->normalized_tokens.end()) return normalized->second;
  return std::string(state_->tokens[static_cast<std::size_t>(id)]);
}

std::string_view Tokenizer::token_bytes(TokenId id) const noexcept {
  if (id < 0 || static_cast<std::size_t>(id) >= vocab_size()) return {};
  return state_->bytes[static_cast<std::size_t>(id)];
}

bool Tokenizer::is_special(TokenId id) const noexcept {
  return id >= 0 && static_cast<std::size_t>(id) < vocab_size() &&
         state_->special[static_cast<std::size_t>(id)];
}

std::size_t Tokenizer::vocab_size() const noexcept { return state_->tokens.size(); }

}  // namespace qvl
