// The fields of JSON objects, read with their checks. Messages say where a field stands
// ("artifacts[0].tensors[3].name is 3; a string is expected"). Included by .cpp files only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_text.h"

namespace qvl {

// How one tells what is wrong with a file: by an InputError for the first thing, or by one for all of them.
enum class JsonErrors { first, all };

// How a field is spoken of: "units[0].name is missing", or "units[0] has no name".
enum class JsonWording { path, owner };

// What is wrong with one file. `source` names it in messages.
class JsonProblems {
 public:
  explicit JsonProblems(std::string_view source, JsonErrors errors = JsonErrors::all,
                        JsonWording wording = JsonWording::path)
      : source_(source), errors_(errors), wording_(wording) {}

  // Of JsonErrors::first: throws InputError "SOURCE: PROBLEM".
  void add(std::string problem);
  // Adds it and throws InputError at once.
  [[noreturn]] void fail(std::string problem);
  // Of JsonErrors::all: one InputError with a line for each problem (for the first 50; the rest is counted),
  // nothing when there is none.
  void throw_if_any() const;

  [[nodiscard]] std::size_t count() const noexcept { return problems_.size(); }
  [[nodiscard]] JsonWording wording() const noexcept { return wording_; }

 private:
  [[noreturn]] void throw_all() const;

  std::string source_;
  JsonErrors errors_;
  JsonWording wording_;
  std::vector<std::string> problems_;
};

// One object. The Json and the problems must outlive this.
//
// There are two kinds of readers. Those that return a value want the member to be there and to be what they
// are called after; else they fail, which throws InputError. Those called read_... leave `out` as it is when the
// member is absent, and when it is wrong, which they add to the problems.
class JsonFields {
 public:
  // `where` says where the object stands: "artifacts[0]", or nothing for the top level. What is no object is
  // added to the problems and reads as {}.
  JsonFields(const Json& object, JsonProblems& problems, std::string where = {});

  [[nodiscard]] const Json& json() const noexcept { return *object_; }
  [[nodiscard]] JsonProblems& problems() const noexcept { return *problems_; }
  // Where a member stands.
  [[nodiscard]] std::string path(std::string_view key) const;
  // From here on messages name this object, too: `units[0] ("name")`.
  void call(std::string_view name);

  // Present, null or not.
  [[nodiscard]] bool mentions(std::string_view key) const { return object_->contains(key); }
  // Present and not null.
  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }
  // The member, or null when it is absent or null.
  [[nodiscard]] const Json* find(std::string_view key) const;

  [[nodiscard]] const Json& at(std::string_view key) const;
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] bool flag(std::string_view key) const;
  // 0 to `max`.
  [[nodiscard]] std::uint64_t count(std::string_view key,
                                    std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) const;
  // Both bounds are allowed values.
  [[nodiscard]] std::int64_t whole(std::string_view key, std::int64_t min, std::int64_t max) const;
  // Finite, 0 or more.
  [[nodiscard]] double magnitude(std::string_view key) const;
  // Any number; NaN for null.
  [[nodiscard]] double number(std::string_view key) const;
  // Any number; nothing when it is absent or null.
  [[nodiscard]] std::optional<double> optional_number(std::string_view key) const;
  [[nodiscard]] JsonFields object(std::string_view key) const;
  // Nothing when it is absent or null.
  [[nodiscard]] std::optional<JsonFields> optional_object(std::string_view key) const;
  // {} when it is absent or null.
  [[nodiscard]] JsonFields object_or_empty(std::string_view key) const;
  // A member of an object whose keys are a file's own; `value` lies in json().
  [[nodiscard]] JsonFields member(std::string_view key, const Json& value) const;

  // Calls visit(entry, where it stands) for each entry of a list.
  template <class Visit>
  void each(std::string_view key, Visit&& visit) const {
    const Json& entries = list(key);
    for (std::size_t i = 0; i < entries.size(); ++i) visit(entries[i], path_of_entry(key, i));
  }
  // Calls visit(fields) for each entry of a list of objects.
  template <class Visit>
  void each_object(std::string_view key, Visit&& visit) const {
    each(key, [&](const Json& entry, std::string place) {
      visit(JsonFields(entry, *problems_, std::move(place)));
    });
  }

  // A value that stands at `place`, as each() tells it.
  [[nodiscard]] std::string text_at(const std::string& place, const Json& value) const;
  [[nodiscard]] std::uint64_t count_at(const std::string& place, const Json& value,
                                       std::uint64_t max = std::numeric_limits<std::uint64_t>::max()) const;

  // Both bounds are allowed values.
  void read_int(std::string_view key, std::int64_t min, std::int64_t max, std::int64_t& out) const;
  // A list of at most `max_count` whole numbers.
  void read_ints(std::string_view key, std::int64_t min, std::int64_t max, std::size_t max_count,
                 std::vector<std::int64_t>& out) const;
  // Finite; above `above` and at most `max`.
  void read_number_above(std::string_view key, double above, double max, double& out) const;
  // Finite; both bounds are allowed values.
  void read_number(std::string_view key, double min, double max, double& out) const;
  void read_bool(std::string_view key, bool& out) const;
  // null counts as absent.
  void read_optional(std::string_view key, std::int64_t min, std::int64_t max,
                     std::optional<std::int64_t>& out) const;
  void read_optional(std::string_view key, double min, double max, std::optional<double>& out) const;
  void read_optional(std::string_view key, std::optional<bool>& out) const;
  void read_optional(std::string_view key, std::string& out) const;

  // Fails when there is a key that is not among these.
  void allow(std::span<const std::string_view> known) const;
  // Adds "KEY TEXT": `text_config.hidden_act is "gelu"; …`.
  void problem(std::string_view key, std::string_view text) const;
  // Fails with "KEY is VALUE; WANTED is expected" of a member that is there.
  [[noreturn]] void fail(std::string_view key, std::string_view wanted) const;
  [[noreturn]] void fail_at(std::string_view place, std::string_view wanted, const Json& found) const;
  // Fails with "WHERE TEXT" of the object itself.
  [[noreturn]] void refuse(std::string_view text) const;

 private:
  [[nodiscard]] const Json* present(std::string_view key) const;
  // The number that is the member `key`, or the problem added.
  [[nodiscard]] std::optional<std::int64_t> read_whole(std::string_view key, const Json& value,
                                                       std::int64_t min, std::int64_t max) const;
  [[nodiscard]] const Json& list(std::string_view key) const;
  [[nodiscard]] std::string path_of_entry(std::string_view key, std::size_t index) const;

  const Json* object_;
  JsonProblems* problems_;
  std::string where_;
};

// A short form of a value for messages.
[[nodiscard]] std::string shown(const Json& value);

}  // namespace qvl
