#include "verify/check_list.h"

#include <filesystem>
#include <utility>

namespace qvl {
namespace {

Check made(CheckStatus status, std::string detail) {
  Check check;
  check.status = status;
  check.detail = std::move(detail);
  return check;
}

}  // namespace

Check passed(std::string detail) { return made(CheckStatus::passed, std::move(detail)); }
Check failed(std::string detail) { return made(CheckStatus::failed, std::move(detail)); }
Check skipped(std::string detail) { return made(CheckStatus::skipped, std::move(detail)); }

Check within(double difference, double bar, std::string detail) {
  Check check = made(difference <= bar ? CheckStatus::passed : CheckStatus::failed, std::move(detail));
  check.difference = difference;
  check.bar = bar;
  return check;
}

bool CheckList::add(std::string name, const std::function<Check()>& make) {
  Check check;
  try {
    check = make();
  } catch (const InputError& error) {
    check = failed(error.what());
  } catch (const UsageError& error) {
    check = failed(error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    check = failed(error.what());
  }
  const bool good = check.status == CheckStatus::passed;
  add(std::move(name), std::move(check));
  return good;
}

void CheckList::add(std::string name, Check check) {
  check.name = std::move(name);
  checks_.push_back(std::move(check));
}

void SharedProgress::begin(std::string_view stage, std::uint64_t total_bytes) {
  const std::lock_guard lock(mutex_);
  if (progress_ != nullptr) progress_->begin(stage, total_bytes);
}

void SharedProgress::advance(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (progress_ != nullptr) progress_->advance(bytes);
}

void SharedProgress::end() {
  const std::lock_guard lock(mutex_);
  if (progress_ != nullptr) progress_->end();
}

}  // namespace qvl
