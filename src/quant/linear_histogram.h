// Counts of values in bins of one width, whose range grows with them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace qvl {

// kBins bins on either side of zero: bin b of a side holds the values whose magnitude is from b to less than
// b + 1 widths; zeros are in bin 0 of the positive side. The width is a power of two, the least for which all
// values so far fit (and at least 2^-120). When a value needs a greater one, pairs of bins are joined, which
// is exact: the counts are the same in whichever order the values come.
class LinearHistogram {
 public:
  static constexpr std::size_t kBins = 4096;
  enum Side : std::size_t { positive = 0, negative = 1 };

  // Finite values only; `magnitude` is the greatest of theirs.
  void add(std::span<const float> values, float magnitude);
  void merge(const LinearHistogram& other);

  // Zero when there are no values. Exact.
  [[nodiscard]] double width() const noexcept;
  [[nodiscard]] std::span<const std::uint64_t> counts(Side side) const noexcept { return counts_[side]; }

 private:
  void widen(int exponent);

  std::array<std::vector<std::uint64_t>, 2> counts_{std::vector<std::uint64_t>(kBins),
                                                    std::vector<std::uint64_t>(kBins)};
  int exponent_ = kNone;  // kBins widths are 2^exponent_
  static constexpr int kNone = -1000;
};

}  // namespace qvl
