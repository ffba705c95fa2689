// Remembers the tokens of short pieces: in any language with words most pieces of a text have been seen
// before.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace qvl {

// A set-associative cache of fixed size (1 MiB, allocated at the first insert). Only pieces of up to 15 bytes
// and 3 tokens are kept. Not safe to use from several threads at once.
class WordCache {
 public:
  static constexpr std::size_t kMaxBytes = 15;
  static constexpr std::size_t kMaxTokens = 3;

  struct Entry {
    std::uint64_t low = 0;   // the piece's bytes, zero behind them; the last byte is its length
    std::uint64_t high = 0;  // 0: no entry
    std::uint32_t ids[kMaxTokens] = {};
    std::uint32_t count = 0;
  };

  // The key of a piece of 1 to kMaxBytes bytes. `readable` tells that 16 bytes may be read at its start.
  struct Key {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
  };
  [[nodiscard]] static Key key_of(std::string_view piece, bool readable) noexcept {
    Key key;
    const std::size_t size = piece.size();
    if (readable) {
      std::memcpy(&key.low, piece.data(), 8);
      std::memcpy(&key.high, piece.data() + 8, 8);
      const auto keep = [](std::size_t bytes) { return ~std::uint64_t{0} >> (64 - 8 * bytes); };
      if (size < 8) {
        key.low &= keep(size);
        key.high = 0;
      } else {
        key.high &= size == 8 ? 0 : keep(size - 8);
      }
    } else {
      char bytes[16] = {};
      std::memcpy(bytes, piece.data(), size);
      std::memcpy(&key.low, bytes, 8);
      std::memcpy(&key.high, bytes + 8, 8);
    }
    key.high |= static_cast<std::uint64_t>(size) << 56U;
    return key;
  }

  // nullptr when the piece is not known.
  [[nodiscard]] const Entry* find(const Key& key) const noexcept {
    if (entries_.empty()) return nullptr;
    const Entry* set = &entries_[set_of(key)];
    for (std::size_t way = 0; way < kWays; ++way) {
      if (set[way].low == key.low && set[way].high == key.high) return &set[way];
    }
    return nullptr;
  }

  // `ids` of at most kMaxTokens; takes the place of the older of two entries.
  void insert(const Key& key, const std::int64_t* ids, std::size_t count) {
    if (entries_.empty()) entries_.resize(kSets * kWays);
    Entry* set = &entries_[set_of(key)];
    set[1] = set[0];
    set[0] = {key.low, key.high, {}, static_cast<std::uint32_t>(count)};
    for (std::size_t i = 0; i < count; ++i) set[0].ids[i] = static_cast<std::uint32_t>(ids[i]);
  }

 private:
  static constexpr std::size_t kWays = 2;
  static constexpr unsigned kSetBits = 14;
  static constexpr std::size_t kSets = std::size_t{1} << kSetBits;
  static_assert(sizeof(Entry) == 32);

  [[nodiscard]] static std::size_t set_of(const Key& key) noexcept {
    std::uint64_t hash = (key.low ^ (key.high * 0xD6E8FEB86659FD93U)) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 32U;
    return (hash * 0xD6E8FEB86659FD93U) >> (64U - kSetBits) << 1U;
  }

  std::vector<Entry> entries_;
};

}  // namespace qvl
