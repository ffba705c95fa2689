// The values that several runs of one measurement gave.
#pragma once

#include <vector>

namespace qvl {

class Samples {
 public:
  void add(double value) { values_.push_back(value); }
  [[nodiscard]] bool empty() const noexcept { return values_.empty(); }
  // In the order of the runs.
  [[nodiscard]] const std::vector<double>& values() const noexcept { return values_; }

  // Of nothing each is 0. The median of an even number of values is the mean of the middle two.
  [[nodiscard]] double median() const;
  [[nodiscard]] double min() const;
  [[nodiscard]] double max() const;
  // (max - min) / median; 0 where the median is 0.
  [[nodiscard]] double spread() const;

 private:
  std::vector<double> values_;
};

}  // namespace qvl
