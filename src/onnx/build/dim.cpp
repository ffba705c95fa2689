#include "onnx/build/dim.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "qvl/error.h"

namespace qvl {

Dim Dim::symbol(std::string name) {
  Dim dim(1);
  dim.symbols_.push_back(std::move(name));
  return dim;
}

std::int64_t Dim::value() const {
  if (!is_fixed()) throw UsageError(fmt::format("dimension {} has no fixed value", text()));
  return factor_;
}

std::string Dim::text() const {
  if (is_fixed()) return fmt::format("{}", factor_);
  const std::string symbols = fmt::format("{}", fmt::join(symbols_, "*"));
  return factor_ == 1 ? symbols : fmt::format("{}*{}", factor_, symbols);
}

Dim operator*(const Dim& a, const Dim& b) {
  Dim result(a.factor_ * b.factor_);
  if (result.factor_ == 0) return result;
  result.symbols_ = a.symbols_;
  result.symbols_.insert(result.symbols_.end(), b.symbols_.begin(), b.symbols_.end());
  std::sort(result.symbols_.begin(), result.symbols_.end());
  return result;
}

Dim product(const SymbolicShape& shape) {
  Dim result(1);
  for (const Dim& dim : shape) result = result * dim;
  return result;
}

std::string to_string(const SymbolicShape& shape) {
  std::string text = "[";
  for (const Dim& dim : shape) text += (text.size() > 1 ? ", " : "") + dim.text();
  return text + "]";
}

}  // namespace qvl
