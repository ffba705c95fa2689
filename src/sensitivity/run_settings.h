// What the numbers of a report depend on beside model and samples; kept in the store, so that shards can be
// merged without the model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "qvl/sensitivity.h"
#include "sensitivity/measurement_keys.h"

namespace qvl {

struct RunSettings {
  // Of a part of the model: its name and how many segments it is cut into.
  struct Part {
    std::string name;
    std::int64_t segments = 0;
    friend bool operator==(const Part&, const Part&) = default;
  };

  std::vector<std::string> formats;
  std::vector<std::string> samples;  // their hashes, in order
  std::vector<Part> parts;
  Method method = Method::automatic;
  bool direction_in = true;
  bool direction_out = false;
  Criterion criterion = Criterion::kl;
  std::string calibration;  // MeasurementKeys
  std::string unit_set;     // MeasurementKeys
  bool fused_attention = false;
  std::string output;               // that is ranked by; "" of runs before it was noted
  std::vector<std::string> others;  // outputs that are compared, too
  std::string outputs_context;      // MeasurementKeys
  std::string skeleton;             // report.json without measurements

  [[nodiscard]] MeasurementKeys keys() const {
    return {calibration, unit_set, fused_attention, outputs_context};
  }
  [[nodiscard]] std::string to_json() const;
  // Throws InputError naming `source`.
  static RunSettings parse(std::string_view json, std::string_view source);

  friend bool operator==(const RunSettings&, const RunSettings&) = default;
};

// "exact", "fast", "auto"; "kl", "mse", "nncf-mean-variance", "weight-mse", "random". Throws UsageError.
[[nodiscard]] std::string to_string(Method method);
[[nodiscard]] std::string to_string(Criterion criterion);
[[nodiscard]] Method parse_method(std::string_view text);
[[nodiscard]] Criterion parse_criterion(std::string_view text);
// Nothing for another text.
[[nodiscard]] std::optional<Criterion> find_criterion(std::string_view text);
// Whether units are ordered by what happens at the output.
[[nodiscard]] inline bool is_measured(Criterion criterion) {
  return criterion == Criterion::kl || criterion == Criterion::mse;
}

}  // namespace qvl
