#include "checkpoint/config_fields.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "checkpoint/message_quote.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::size_t kMostShown = 50;

const Json& empty_object() {
  static const Json empty = Json::object();
  return empty;
}

}  // namespace

std::string shown(const Json& value) {
  if (value.is_string()) return quote_for_message(value.get_ref<const std::string&>());
  if (value.is_object()) return "an object";
  if (value.is_array()) return fmt::format("a list of {}", value.size());
  return value.dump();
}

void ConfigProblems::add(std::string problem) { problems_.push_back(std::move(problem)); }

void ConfigProblems::throw_if_any() const {
  if (problems_.empty()) return;
  std::string message = source_ + ":";
  for (std::size_t i = 0; i < problems_.size() && i < kMostShown; ++i) message += "\n  " + problems_[i];
  if (problems_.size() > kMostShown) {
    message += fmt::format("\n  and {} more", problems_.size() - kMostShown);
  }
  throw InputError(message);
}

ConfigFields::ConfigFields(const Json& object, std::string prefix, ConfigProblems& problems)
    : object_(&object), prefix_(std::move(prefix)), problems_(&problems) {
  if (object.is_object()) return;
  problems.add(fmt::format("{} is {}; an object is expected",
                           prefix_.empty() ? "the file" : prefix_.substr(0, prefix_.size() - 1),
                           shown(object)));
  object_ = &empty_object();
}

const Json* ConfigFields::find(const char* name) const {
  const auto found = object_->find(name);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

bool ConfigFields::has(const char* name) const { return find(name) != nullptr; }

ConfigFields ConfigFields::object(const char* name) const {
  const Json* value = find(name);
  return {value == nullptr ? empty_object() : *value, full_name(name) + ".", *problems_};
}

void ConfigFields::problem(std::string_view name, std::string_view text) const {
  problems_->add(fmt::format("{} {}", full_name(name), text));
}

std::optional<std::int64_t> ConfigFields::whole_number(const Json& value, std::string_view name,
                                                       std::int64_t min, std::int64_t max) const {
  // Unsigned values beyond 63 bits would wrap in get<std::int64_t>().
  const bool fits = value.is_number_integer() &&
                    !(value.is_number_unsigned() &&
                      std::cmp_greater(value.get<std::uint64_t>(), std::numeric_limits<std::int64_t>::max()));
  const std::int64_t number = fits ? value.get<std::int64_t>() : 0;
  if (!fits || number < min || number > max) {
    problem(name, fmt::format("is {}; a whole number from {} to {} is expected", shown(value), min, max));
    return std::nullopt;
  }
  return number;
}

void ConfigFields::read_int(const char* name, std::int64_t min, std::int64_t max, std::int64_t& out) const {
  const auto found = object_->find(name);
  if (found == object_->end()) return;
  if (const auto number = whole_number(*found, name, min, max)) out = *number;
}

void ConfigFields::read_ints(const char* name, std::int64_t min, std::int64_t max, std::size_t max_count,
                             std::vector<std::int64_t>& out) const {
  const auto found = object_->find(name);
  if (found == object_->end()) return;
  if (!found->is_array() || found->size() > max_count) {
    problem(name,
            fmt::format("is {}; a list of at most {} whole numbers is expected", shown(*found), max_count));
    return;
  }
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 0; i < found->size(); ++i) {
    const auto number = whole_number((*found)[i], fmt::format("{}[{}]", name, i), min, max);
    if (!number) return;
    numbers.push_back(*number);
  }
  out = std::move(numbers);
}

void ConfigFields::read_number_above(const char* name, double above, double max, double& out) const {
  const auto found = object_->find(name);
  if (found == object_->end()) return;
  const double number = found->is_number() ? found->get<double>() : std::nan("");
  if (number > above && number <= max) {
    out = number;
  } else {
    problem(name,
            fmt::format("is {}; a number above {} and up to {} is expected", shown(*found), above, max));
  }
}

void ConfigFields::read_number(const char* name, double min, double max, double& out) const {
  const auto found = object_->find(name);
  if (found == object_->end()) return;
  const double number = found->is_number() ? found->get<double>() : std::nan("");
  if (number >= min && number <= max) {
    out = number;
  } else {
    problem(name, fmt::format("is {}; a number from {} to {} is expected", shown(*found), min, max));
  }
}

void ConfigFields::read_bool(const char* name, bool& out) const {
  const auto found = object_->find(name);
  if (found == object_->end()) return;
  if (found->is_boolean()) {
    out = found->get<bool>();
  } else {
    problem(name, fmt::format("is {}; true or false is expected", shown(*found)));
  }
}

void ConfigFields::read_optional(const char* name, std::int64_t min, std::int64_t max,
                                 std::optional<std::int64_t>& out) const {
  const Json* value = find(name);
  if (value == nullptr) return;
  if (const auto number = whole_number(*value, name, min, max)) out = number;
}

void ConfigFields::read_optional(const char* name, double min, double max, std::optional<double>& out) const {
  if (!has(name)) return;
  double number = min - 1.0;
  read_number(name, min, max, number);
  if (number >= min) out = number;
}

void ConfigFields::read_optional(const char* name, std::optional<bool>& out) const {
  const Json* value = find(name);
  if (value == nullptr) return;
  bool flag = false;
  read_bool(name, flag);
  if (value->is_boolean()) out = flag;
}

void ConfigFields::read_optional(const char* name, std::string& out) const {
  const Json* value = find(name);
  if (value == nullptr) return;
  if (value->is_string()) {
    out = value->get<std::string>();
  } else {
    problem(name, fmt::format("is {}; a text is expected", shown(*value)));
  }
}

}  // namespace qvl
