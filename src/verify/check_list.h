// The checks of a certificate as they are made.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qvl/verify.h"

namespace qvl {

// Checks without their name, which CheckList::add gives.
[[nodiscard]] Check passed(std::string detail);
[[nodiscard]] Check failed(std::string detail);
[[nodiscard]] Check skipped(std::string detail);
// Passed when `difference` is at most `bar`; both are kept.
[[nodiscard]] Check within(double difference, double bar, std::string detail);

class CheckList {
 public:
  // Makes a check. What it throws as InputError, UsageError or filesystem_error is its failure: a broken
  // folder is what is looked for. Gives back whether it passed.
  bool add(std::string name, const std::function<Check()>& make);
  void add(std::string name, Check check);

  [[nodiscard]] std::vector<Check> take() { return std::move(checks_); }

 private:
  std::vector<Check> checks_;
};

// A Progress that may be null and is told from several threads.
class SharedProgress {
 public:
  explicit SharedProgress(Progress* progress) : progress_(progress) {}

  void begin(std::string_view stage, std::uint64_t total_bytes);
  void advance(std::uint64_t bytes);
  void end();

 private:
  Progress* progress_;
  std::mutex mutex_;
};

}  // namespace qvl
