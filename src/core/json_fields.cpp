#include "core/json_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/message_quote.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::size_t kMostShown = 50;
constexpr std::string_view kTopLevel = "the top level";

const Json& empty_object() {
  static const Json empty = Json::object();
  return empty;
}

std::optional<std::int64_t> whole_number(const Json& value, std::int64_t min, std::int64_t max) {
  if (!value.is_number_integer()) return std::nullopt;
  // Unsigned values beyond 63 bits would wrap in get<std::int64_t>().
  if (value.is_number_unsigned() &&
      std::cmp_greater(value.get<std::uint64_t>(), std::numeric_limits<std::int64_t>::max()))
    return std::nullopt;
  const auto number = value.get<std::int64_t>();
  return number < min || number > max ? std::nullopt : std::optional(number);
}

// NaN for what is no number.
double number_of(const Json& value) { return value.is_number() ? value.get<double>() : std::nan(""); }

std::string whole_wanted(std::int64_t min, std::int64_t max) {
  return fmt::format("a whole number from {} to {}", min, max);
}

}  // namespace

std::string shown(const Json& value) {
  if (value.is_string()) return quote_for_message(value.get_ref<const std::string&>());
  if (value.is_object()) return "an object";
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  return value.dump();
}

void JsonProblems::add(std::string problem) {
  problems_.push_back(std::move(problem));
  if (errors_ == JsonErrors::first) throw_all();
}

void JsonProblems::fail(std::string problem) {
  problems_.push_back(std::move(problem));
  throw_all();
}

void JsonProblems::throw_if_any() const {
  if (!problems_.empty()) throw_all();
}

void JsonProblems::throw_all() const {
  if (errors_ == JsonErrors::first) throw InputError(fmt::format("{}: {}", source_, problems_.back()));
  std::string message = source_ + ":";
  for (std::size_t i = 0; i < problems_.size() && i < kMostShown; ++i) message += "\n  " + problems_[i];
  if (problems_.size() > kMostShown) {
    message += fmt::format("\n  and {} more", problems_.size() - kMostShown);
  }
  throw InputError(message);
}

JsonFields::JsonFields(const Json& object, JsonProblems& problems, std::string where)
    : object_(&object), problems_(&problems), where_(std::move(where)) {
  if (object.is_object()) return;
  object_ = &empty_object();
  problems.add(
      fmt::format("{} is {}; an object is expected", where_.empty() ? kTopLevel : where_, shown(object)));
}

std::string JsonFields::path(std::string_view key) const {
  return where_.empty() ? std::string(key) : fmt::format("{}.{}", where_, key);
}

std::string JsonFields::path_of_entry(std::string_view key, std::size_t index) const {
  return fmt::format("{}[{}]", problems_->wording() == JsonWording::path ? path(key) : key, index);
}

void JsonFields::call(std::string_view name) { where_ += fmt::format(" ({})", quote_for_message(name)); }

const Json* JsonFields::present(std::string_view key) const {
  const auto found = object_->find(key);
  return found == object_->end() ? nullptr : &*found;
}

const Json* JsonFields::find(std::string_view key) const {
  const Json* value = present(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

const Json& JsonFields::at(std::string_view key) const {
  const Json* value = present(key);
  if (value != nullptr) return *value;
  if (problems_->wording() == JsonWording::owner) refuse(fmt::format("has no {}", key));
  problems_->fail(path(key) + " is missing");
}

std::string JsonFields::text(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_string()) fail(key, "a string");
  return value.get<std::string>();
}

bool JsonFields::flag(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_boolean()) fail(key, "true or false");
  return value.get<bool>();
}

std::uint64_t JsonFields::count(std::string_view key, std::uint64_t max) const {
  return count_at(path(key), at(key), max);
}

std::int64_t JsonFields::whole(std::string_view key, std::int64_t min, std::int64_t max) const {
  const auto number = whole_number(at(key), min, max);
  if (!number) fail(key, whole_wanted(min, max));
  return *number;
}

double JsonFields::magnitude(std::string_view key) const {
  const double number = number_of(at(key));
  if (!std::isfinite(number) || number < 0) fail(key, "a number, 0 or more");
  return number;
}

double JsonFields::number(std::string_view key) const {
  if (at(key).is_null()) return std::numeric_limits<double>::quiet_NaN();
  return *optional_number(key);
}

std::optional<double> JsonFields::optional_number(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) fail(key, "a number or null");
  return value->get<double>();
}

JsonFields JsonFields::object(std::string_view key) const { return {at(key), *problems_, path(key)}; }

std::optional<JsonFields> JsonFields::optional_object(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) return std::nullopt;
  return JsonFields(*value, *problems_, path(key));
}

JsonFields JsonFields::object_or_empty(std::string_view key) const {
  const Json* value = find(key);
  return {value == nullptr ? empty_object() : *value, *problems_, path(key)};
}

JsonFields JsonFields::member(std::string_view key, const Json& value) const {
  return {value, *problems_, fmt::format("{}[{}]", where_, quote_for_message(key))};
}

const Json& JsonFields::list(std::string_view key) const {
  const Json& value = at(key);
  if (!value.is_array()) fail(key, "a list");
  return value;
}

std::string JsonFields::text_at(const std::string& place, const Json& value) const {
  if (!value.is_string()) fail_at(place, "a string", value);
  return value.get<std::string>();
}

std::uint64_t JsonFields::count_at(const std::string& place, const Json& value, std::uint64_t max) const {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > max) {
    const bool any = max == std::numeric_limits<std::uint64_t>::max();
    fail_at(place, any ? "a whole number, 0 or more" : fmt::format("a whole number from 0 to {}", max),
            value);
  }
  return value.get<std::uint64_t>();
}

void JsonFields::read_int(std::string_view key, std::int64_t min, std::int64_t max, std::int64_t& out) const {
  const Json* value = present(key);
  if (value == nullptr) return;
  if (const auto number = read_whole(key, *value, min, max)) out = *number;
}

std::optional<std::int64_t> JsonFields::read_whole(std::string_view key, const Json& value, std::int64_t min,
                                                   std::int64_t max) const {
  const auto number = whole_number(value, min, max);
  if (!number) problem(key, fmt::format("is {}; {} is expected", shown(value), whole_wanted(min, max)));
  return number;
}

void JsonFields::read_ints(std::string_view key, std::int64_t min, std::int64_t max, std::size_t max_count,
                           std::vector<std::int64_t>& out) const {
  const Json* value = present(key);
  if (value == nullptr) return;
  if (!value->is_array() || value->size() > max_count) {
    problem(key,
            fmt::format("is {}; a list of at most {} whole numbers is expected", shown(*value), max_count));
    return;
  }
  std::vector<std::int64_t> numbers;
  for (const Json& entry : *value) {
    const auto number = read_whole(fmt::format("{}[{}]", key, numbers.size()), entry, min, max);
    if (!number) return;
    numbers.push_back(*number);
  }
  out = std::move(numbers);
}

void JsonFields::read_number_above(std::string_view key, double above, double max, double& out) const {
  const Json* value = present(key);
  if (value == nullptr) return;
  const double number = number_of(*value);
  if (number > above && number <= max) {
    out = number;
  } else {
    problem(key, fmt::format("is {}; a number above {} and up to {} is expected", shown(*value), above, max));
  }
}

void JsonFields::read_number(std::string_view key, double min, double max, double& out) const {
  const Json* value = present(key);
  if (value == nullptr) return;
  const double number = number_of(*value);
  if (number >= min && number <= max) {
    out = number;
  } else {
    problem(key, fmt::format("is {}; a number from {} to {} is expected", shown(*value), min, max));
  }
}

void JsonFields::read_bool(std::string_view key, bool& out) const {
  const Json* value = present(key);
  if (value == nullptr) return;
  if (value->is_boolean()) {
    out = value->get<bool>();
  } else {
    problem(key, fmt::format("is {}; true or false is expected", shown(*value)));
  }
}

void JsonFields::read_optional(std::string_view key, std::int64_t min, std::int64_t max,
                               std::optional<std::int64_t>& out) const {
  const Json* value = find(key);
  if (value == nullptr) return;
  if (const auto number = read_whole(key, *value, min, max)) out = number;
}

void JsonFields::read_optional(std::string_view key, double min, double max,
                               std::optional<double>& out) const {
  if (!has(key)) return;
  double number = min - 1.0;
  read_number(key, min, max, number);
  if (number >= min) out = number;
}

void JsonFields::read_optional(std::string_view key, std::optional<bool>& out) const {
  const Json* value = find(key);
  if (value == nullptr) return;
  bool flag = false;
  read_bool(key, flag);
  if (value->is_boolean()) out = flag;
}

void JsonFields::read_optional(std::string_view key, std::string& out) const {
  const Json* value = find(key);
  if (value == nullptr) return;
  if (value->is_string()) {
    out = value->get<std::string>();
  } else {
    problem(key, fmt::format("is {}; a text is expected", shown(*value)));
  }
}

void JsonFields::allow(std::span<const std::string_view> known) const {
  for (auto member = object_->begin(); member != object_->end(); ++member) {
    if (std::ranges::find(known, member.key()) == known.end()) {
      refuse(fmt::format("has the unknown key {}; known are {}", quote_for_message(member.key()),
                         fmt::join(known.begin(), known.end(), ", ")));
    }
  }
}

void JsonFields::problem(std::string_view key, std::string_view text) const {
  problems_->add(fmt::format("{} {}", path(key), text));
}

void JsonFields::fail(std::string_view key, std::string_view wanted) const {
  if (problems_->wording() == JsonWording::owner)
    refuse(fmt::format("has the {} {}; {} is expected", key, shown(at(key)), wanted));
  fail_at(path(key), wanted, at(key));
}

void JsonFields::fail_at(std::string_view place, std::string_view wanted, const Json& found) const {
  problems_->fail(fmt::format("{} is {}; {} is expected", place, shown(found), wanted));
}

void JsonFields::refuse(std::string_view text) const {
  problems_->fail(fmt::format("{} {}", where_.empty() ? kTopLevel : where_, text));
}

}  // namespace qvl
