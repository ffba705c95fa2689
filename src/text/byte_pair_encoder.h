// Byte pair encoding (Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016):
// starting from the bytes, the adjacent pair of lowest rank is merged, the leftmost first, until no pair has
// a merge.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace qvl {

class BytePairEncoder {
 public:
  struct Merge {
    std::uint32_t left = 0;
    std::uint32_t right = 0;
    std::uint32_t result = 0;
  };

  // Memory reused between calls; one for each thread.
  struct Workspace {
    struct Symbol {
      std::uint32_t id = 0;
      std::uint32_t rank = 0;      // of the pair with the next symbol
      std::uint32_t previous = 0;  // positions
      std::uint32_t next = 0;
    };
    std::vector<Symbol> symbols;
    std::vector<std::uint64_t> queue;  // rank, position
  };

  static constexpr std::size_t kMaxTokens = std::size_t{1} << 20U;
  static constexpr std::size_t kMaxMerges = (std::size_t{1} << 24U) - 1;
  static constexpr std::size_t kMaxPieceBytes = std::size_t{1} << 30U;

  // `byte_ids` are the tokens of the single bytes. `merges` are in order of rank; of two for the same pair
  // the later one counts (as in tokenizers). At most kMaxMerges; all ids below kMaxTokens.
  BytePairEncoder(const std::array<std::uint32_t, 256>& byte_ids, std::span<const Merge> merges);

  // Appends the tokens of `piece` (at most kMaxPieceBytes) to `out`. Quadratic in short pieces, n log n in
  // long ones.
  void encode(std::string_view piece, Workspace& workspace, std::vector<std::int64_t>& out) const;

 private:
  // The rank of a pair, kNoMerge when it has no merge.
  [[nodiscard]] std::uint32_t rank_of(std::uint32_t left, std::uint32_t right) const noexcept;
  [[nodiscard]] bool may_merge(std::uint64_t hash) const noexcept;
  [[nodiscard]] std::uint32_t rank_at(std::uint64_t pair, std::uint64_t hash) const noexcept;
  void encode_short(std::string_view piece, std::vector<std::int64_t>& out) const;
  void encode_long(std::string_view piece, Workspace& workspace, std::vector<std::int64_t>& out) const;

  [[nodiscard]] std::uint32_t result_of(std::uint32_t rank) const noexcept {
    return results_.empty() ? rank + first_result_ : results_[rank];
  }

  std::array<std::uint32_t, 256> byte_ids_;
  // A trained vocabulary numbers the results in order of rank: then there is no list of them.
  std::uint32_t first_result_ = 0;
  std::vector<std::uint32_t> results_;  // by rank
  // Ranks by pair: left id (20 bits), right id (20 bits), rank (24 bits). Open addressing; the size is a
  // power of two, never more than two thirds full.
  std::vector<std::uint64_t> slots_;
  unsigned shift_ = 0;  // of the hash
  // Most pairs have no merge; a bit for each hash tells so without a look at the slots, which do not fit the
  // cache.
  std::vector<std::uint64_t> filter_;
  std::vector<std::uint32_t> byte_pairs_;  // [left byte][right byte]: rank
};

}  // namespace qvl
