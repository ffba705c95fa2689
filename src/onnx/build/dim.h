// Dimensions that may be symbolic, and shapes of them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace qvl {

// A number times zero or more symbols: 576, `batch`, `batch*seq`, `2*seq`. Symbols stand for sizes known only
// at run time.
class Dim {
 public:
  Dim(std::int64_t value)
      : factor_(value) {}  // NOLINT(google-explicit-constructor): shapes are lists of numbers
  static Dim symbol(std::string name);

  [[nodiscard]] bool is_fixed() const noexcept { return symbols_.empty(); }
  // Only for fixed dimensions.
  [[nodiscard]] std::int64_t value() const;
  [[nodiscard]] std::int64_t factor() const noexcept { return factor_; }
  // "576", "batch", "batch*seq", "2*seq"
  [[nodiscard]] std::string text() const;

  friend Dim operator*(const Dim& a, const Dim& b);
  friend bool operator==(const Dim& a, const Dim& b) = default;

 private:
  std::int64_t factor_ = 1;
  std::vector<std::string> symbols_;  // sorted
};

using SymbolicShape = std::vector<Dim>;

[[nodiscard]] Dim product(const SymbolicShape& shape);
// "[batch, seq, 64]"
[[nodiscard]] std::string to_string(const SymbolicShape& shape);

}  // namespace qvl
