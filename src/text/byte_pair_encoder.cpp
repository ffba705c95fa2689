#include "text/byte_pair_encoder.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace qvl {
namespace {

constexpr std::uint32_t kNoMerge = 0xFFFFFFFFU;
constexpr std::uint32_t kNone = 0xFFFFFFFFU;
constexpr unsigned kIdBits = 20;
constexpr unsigned kRankBits = 24;
constexpr std::uint64_t kRankMask = (std::uint64_t{1} << kRankBits) - 1;
constexpr std::uint64_t kEmptySlot = ~std::uint64_t{0};  // no rank is kRankMask
constexpr unsigned kFilterBits = 21;                     // 256 KiB
// Up to here scanning all pairs for the lowest rank is faster than keeping a queue.
constexpr std::size_t kShortPiece = 128;

std::size_t byte_at(std::string_view piece, std::size_t i) { return static_cast<unsigned char>(piece[i]); }

std::uint64_t pair_of(std::uint32_t left, std::uint32_t right) {
  return static_cast<std::uint64_t>(left) << kIdBits | right;
}

std::uint64_t hash_of(std::uint64_t pair) {
  std::uint64_t hash = pair * 0x9E3779B97F4A7C15U;
  hash ^= hash >> 32U;
  return hash * 0xD6E8FEB86659FD93U;
}

// The filter takes its bits of the hash from below those that the slots take.
std::size_t filter_word(std::uint64_t hash) { return (hash >> 20U & ((1U << kFilterBits) - 1)) / 64; }
std::uint64_t filter_bit(std::uint64_t hash) { return std::uint64_t{1} << (hash >> 20U & 63U); }

}  // namespace

BytePairEncoder::BytePairEncoder(const std::array<std::uint32_t, 256>& byte_ids,
                                 std::span<const Merge> merges)
    : byte_ids_(byte_ids),
      slots_(std::bit_ceil(merges.size() + merges.size() / 2 + 2), kEmptySlot),
      filter_((std::size_t{1} << kFilterBits) / 64) {
  shift_ = 64U - static_cast<unsigned>(std::countr_zero(slots_.size()));
  if (!merges.empty()) first_result_ = merges[0].result;
  bool in_order = true;
  results_.reserve(merges.size());
  for (const Merge& merge : merges) {
    const std::uint64_t pair = pair_of(merge.left, merge.right);
    const std::uint64_t hash = hash_of(pair);
    std::size_t i = hash >> shift_;
    while (slots_[i] != kEmptySlot && slots_[i] >> kRankBits != pair) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = pair << kRankBits | results_.size();
    filter_[filter_word(hash)] |= filter_bit(hash);
    in_order = in_order && merge.result == first_result_ + results_.size();
    results_.push_back(merge.result);
  }
  if (in_order) results_ = {};
  byte_pairs_.resize(std::size_t{256} * 256);
  for (std::size_t left = 0; left < 256; ++left) {
    for (std::size_t right = 0; right < 256; ++right) {
      byte_pairs_[left * 256 + right] = rank_of(byte_ids_[left], byte_ids_[right]);
    }
  }
}

bool BytePairEncoder::may_merge(std::uint64_t hash) const noexcept {
  return (filter_[filter_word(hash)] & filter_bit(hash)) != 0;
}

std::uint32_t BytePairEncoder::rank_at(std::uint64_t pair, std::uint64_t hash) const noexcept {
  std::size_t i = hash >> shift_;
  while (slots_[i] != kEmptySlot) {
    if (slots_[i] >> kRankBits == pair) return static_cast<std::uint32_t>(slots_[i] & kRankMask);
    i = (i + 1) & (slots_.size() - 1);
  }
  return kNoMerge;
}

std::uint32_t BytePairEncoder::rank_of(std::uint32_t left, std::uint32_t right) const noexcept {
  const std::uint64_t pair = pair_of(left, right);
  const std::uint64_t hash = hash_of(pair);
  return may_merge(hash) ? rank_at(pair, hash) : kNoMerge;
}

void BytePairEncoder::encode(std::string_view piece, Workspace& workspace,
                             std::vector<std::int64_t>& out) const {
  if (piece.size() <= kShortPiece) {
    encode_short(piece, out);
  } else {
    encode_long(piece, workspace, out);
  }
}

// keys[i] is rank << 8 | i for the pair of the symbols i and next[i], so that the least key names the merge
// to do: the lowest rank, leftmost. Merged symbols keep their place.
void BytePairEncoder::encode_short(std::string_view piece, std::vector<std::int64_t>& out) const {
  static_assert(kShortPiece < 255 && kMaxMerges <= kRankMask && kMaxTokens <= std::size_t{1} << kIdBits);
  const std::size_t count = piece.size();
  if (count == 0) return;
  std::uint32_t keys[kShortPiece];
  std::uint32_t ids[kShortPiece];
  std::uint8_t next[kShortPiece + 1];
  std::uint8_t previous[kShortPiece + 1];
  for (std::size_t i = 0; i < count; ++i) {
    ids[i] = byte_ids_[byte_at(piece, i)];
    next[i] = static_cast<std::uint8_t>(i + 1);
    previous[i] = static_cast<std::uint8_t>(i == 0 ? 0 : i - 1);
  }
  const auto key = [](std::uint32_t rank, std::size_t i) {
    return rank == kNoMerge ? kNoMerge : rank << 8U | static_cast<std::uint32_t>(i);
  };
  for (std::size_t i = 0; i + 1 < count; ++i) {
    keys[i] = key(byte_pairs_[byte_at(piece, i) * 256 + byte_at(piece, i + 1)], i);
  }
  keys[count - 1] = kNoMerge;

  while (true) {
    std::uint32_t least = kNoMerge;
    for (std::size_t i = 0; i < count; ++i) least = std::min(least, keys[i]);
    if (least == kNoMerge) break;
    const std::size_t i = least & 0xFFU;
    const std::size_t right = next[i];
    const std::size_t after = next[right];
    ids[i] = result_of(least >> 8U);
    next[i] = static_cast<std::uint8_t>(after);
    keys[right] = kNoMerge;
    keys[i] = kNoMerge;
    if (after < count) {
      previous[after] = static_cast<std::uint8_t>(i);
      keys[i] = key(rank_of(ids[i], ids[after]), i);
    }
    if (i > 0) {
      const std::size_t before = previous[i];
      keys[before] = key(rank_of(ids[before], ids[i]), before);
    }
  }
  for (std::size_t i = 0; i < count; i = next[i]) out.push_back(ids[i]);
}

// A queue of all pairs that have a merge. An entry is stale when the symbol at its place has since been
// merged away or its pair has another rank.
void BytePairEncoder::encode_long(std::string_view piece, Workspace& workspace,
                                  std::vector<std::int64_t>& out) const {
  std::vector<Workspace::Symbol>& symbols = workspace.symbols;
  std::vector<std::uint64_t>& queue = workspace.queue;
  const auto count = static_cast<std::uint32_t>(piece.size());
  const auto entry = [](std::uint32_t rank, std::uint32_t i) {
    return static_cast<std::uint64_t>(rank) << 32U | i;
  };
  symbols.resize(count);
  queue.clear();
  for (std::uint32_t i = 0; i < count; ++i) {
    const bool last = i + 1 == count;
    const std::uint32_t rank = last ? kNoMerge : byte_pairs_[byte_at(piece, i) * 256 + byte_at(piece, i + 1)];
    symbols[i] = {byte_ids_[byte_at(piece, i)], rank, i == 0 ? kNone : i - 1, last ? kNone : i + 1};
    if (rank != kNoMerge) queue.push_back(entry(rank, i));
  }
  std::make_heap(queue.begin(), queue.end(), std::greater<>());

  const auto renew = [&](std::uint32_t i) {
    Workspace::Symbol& symbol = symbols[i];
    symbol.rank = symbol.next == kNone ? kNoMerge : rank_of(symbol.id, symbols[symbol.next].id);
    if (symbol.rank == kNoMerge) return;
    queue.push_back(entry(symbol.rank, i));
    std::push_heap(queue.begin(), queue.end(), std::greater<>());
  };
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const std::uint64_t top = queue.back();
    queue.pop_back();
    const auto i = static_cast<std::uint32_t>(top);
    Workspace::Symbol& symbol = symbols[i];
    if (symbol.rank != top >> 32U) continue;
    Workspace::Symbol& right = symbols[symbol.next];
    symbol.id = result_of(symbol.rank);
    symbol.next = right.next;
    right.rank = kNoMerge;
    if (symbol.next != kNone) symbols[symbol.next].previous = i;
    renew(i);
    if (symbol.previous != kNone) renew(symbol.previous);
  }
  for (std::uint32_t i = 0; i != kNone; i = symbols[i].next) out.push_back(symbols[i].id);
  // A single huge piece must not pin its memory for as long as the workspace lives.
  if (count > (1U << 20U)) workspace = {};
}

}  // namespace qvl
