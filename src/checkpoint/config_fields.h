// The fields of one JSON object, read with their checks. Included by the .cpp files of the configs only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_text.h"

namespace qvl {

inline constexpr std::size_t kMaxConfigBytes = std::size_t{16} << 20U;

// Everything that is wrong with one file, reported together.
class ConfigProblems {
 public:
  // `source` names the file in the message.
  explicit ConfigProblems(std::string_view source) : source_(source) {}

  void add(std::string problem);
  [[nodiscard]] std::size_t count() const noexcept { return problems_.size(); }
  // One InputError with a line for each problem (for the first 50; the rest is counted), nothing when there
  // is none.
  void throw_if_any() const;

 private:
  std::string source_;
  std::vector<std::string> problems_;
};

// Reads the members of an object. A member that is absent leaves `out` as it is; one that is not what it must
// be adds to the problems and leaves `out` as it is. null counts as absent only where it says so: in
// transformers it overrides the default. The Json and the problems must outlive this object.
class ConfigFields {
 public:
  // `prefix` stands before names in messages ("vision_config."). What is not an object is a problem, and
  // reads as {}.
  ConfigFields(const Json& object, std::string prefix, ConfigProblems& problems);

  // Present, null or not.
  [[nodiscard]] bool mentions(const char* name) const { return object_->contains(name); }
  // Present and not null.
  [[nodiscard]] bool has(const char* name) const;
  // The member as an object, {} when it is absent or null.
  [[nodiscard]] ConfigFields object(const char* name) const;
  // The member, or null when it is absent or null.
  [[nodiscard]] const Json* find(const char* name) const;
  [[nodiscard]] std::string full_name(std::string_view name) const { return prefix_ + std::string(name); }
  [[nodiscard]] ConfigProblems& problems() const noexcept { return *problems_; }

  // Both bounds are allowed values.
  void read_int(const char* name, std::int64_t min, std::int64_t max, std::int64_t& out) const;
  // A list of at most `max_count` whole numbers.
  void read_ints(const char* name, std::int64_t min, std::int64_t max, std::size_t max_count,
                 std::vector<std::int64_t>& out) const;
  // Finite; above `above` and at most `max`.
  void read_number_above(const char* name, double above, double max, double& out) const;
  // Finite; both bounds are allowed values.
  void read_number(const char* name, double min, double max, double& out) const;
  void read_bool(const char* name, bool& out) const;

  // null counts as absent.
  void read_optional(const char* name, std::int64_t min, std::int64_t max,
                     std::optional<std::int64_t>& out) const;
  void read_optional(const char* name, double min, double max, std::optional<double>& out) const;
  void read_optional(const char* name, std::optional<bool>& out) const;
  void read_optional(const char* name, std::string& out) const;

  // Adds "NAME TEXT", for example "text_config.hidden_act is "gelu"; …".
  void problem(std::string_view name, std::string_view text) const;

 private:
  [[nodiscard]] std::optional<std::int64_t> whole_number(const Json& value, std::string_view name,
                                                         std::int64_t min, std::int64_t max) const;

  const Json* object_;
  std::string prefix_;
  ConfigProblems* problems_;
};

// A short form of a value for messages.
[[nodiscard]] std::string shown(const Json& value);

}  // namespace qvl
