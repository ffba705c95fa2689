// Which unit of a model is stored in which format: what `qvl plan` writes and `qvl quantize` takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quant/calibration.h"
#include "quant/format.h"

namespace qvl {

// How the integers of a weight are chosen.
//   nearest        rounded to nearest by the rule of the format (quant/fake_quantize.h)
//   least_squares  the scales of least squared error of the weight (quant/scale_search.h)
//   gptq           least squared error of the unit's output on calibration data (quant/gptq.h)
enum class WeightAlgorithm { nearest, least_squares, gptq };

[[nodiscard]] std::string to_string(WeightAlgorithm algorithm);  // "nearest", "least-squares", "gptq"
[[nodiscard]] WeightAlgorithm parse_weight_algorithm(std::string_view text);  // throws UsageError

// As a migration strength: the best of a few, by calibration data ("auto").
inline constexpr double kChooseSmooth = -1;

// How one unit is stored.
struct PlannedFormat {
  Format format;
  WeightAlgorithm algorithm = WeightAlgorithm::nearest;
  // accuracy_level of the node MatMulNBits: 0 (products in f32) to 4 (activations rounded to 8 bits by
  // blocks). Of weight-only formats.
  int accuracy_level = 0;
  // SmoothQuant's migration strength alpha, above 0 to 1, or kChooseSmooth; 0: none. Of int8-dynamic and
  // int8-static.
  double smooth = 0;

  auto operator<=>(const PlannedFormat&) const = default;
};

// Throws UsageError for values that do not exist or do not go together.
void check(const PlannedFormat& planned);

// What becomes of the units that a name stands for.
struct PlanEntry {
  std::string name;                     // of a unit, or a pattern with * and ? (core/name_pattern.h)
  std::optional<PlannedFormat> format;  // none: kept as it is

  bool operator==(const PlanEntry&) const = default;
};

// plan.json:
//   {"format": 1,
//    "model": "a.onnx + b.onnx", "model_sha256": "…",   both may be left out (a plan written by hand)
//    "calibrate": "minmax",                             of int8-static; may be left out
//    "embedding": "int8:32",                            format of the table of token embeddings; or "keep"
//    "units": [{"name": "/model/layers.3/mlp/down_proj/MatMul", "format": "int4:32",
//               "algorithm": "gptq", "accuracy_level": 0,   all but name and format may be left out
//               "smooth": 0.5},
//              {"name": "*o_proj*", "format": "keep"}],
//    "record": {…}}                                     how the plan came about; not read
// Of several entries that fit a unit the last one counts; a unit that none fits is kept.
struct QuantPlan {
  std::string model;
  std::string model_sha256;
  Calibration calibration;
  std::optional<Format> embedding;  // of weight-only formats with blocks
  std::vector<PlanEntry> entries;
  std::string record;  // JSON text without blanks, keys in order, as parse() gives it; "" for none

  [[nodiscard]] std::optional<PlannedFormat> of(std::string_view unit) const;

  // Throws InputError naming `source` and the entry for anything that is not such a plan: unknown keys and
  // formats, values that do not go together, no entry at all.
  [[nodiscard]] static QuantPlan parse(std::string_view json, std::string_view source);
  // The same plan gives the same text; parse() of it gives the plan back. Throws UsageError for what parse()
  // would refuse, InputError for names that are not UTF-8.
  [[nodiscard]] std::string to_json() const;
  // SHA-256 (hexadecimal) of what decides about the files: everything but `record`. Throws as to_json().
  [[nodiscard]] std::string sha256() const;

  bool operator==(const QuantPlan&) const = default;
};

}  // namespace qvl
