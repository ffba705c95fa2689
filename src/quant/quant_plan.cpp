// What a plan says and how it is written; quant_plan_reader.cpp reads it.
#include "quant/quant_plan.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <span>

#include "core/json_text.h"
#include "core/name_pattern.h"
#include "core/sha256.h"
#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::array kAlgorithms{WeightAlgorithm::nearest, WeightAlgorithm::least_squares,
                                 WeightAlgorithm::gptq};
constexpr int kMostAccuracy = 4;

std::string quoted(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    throw InputError(fmt::format("a plan cannot be written: the name {} is not UTF-8, as JSON has to be",
                                 Json(text).dump(-1, ' ', true, Json::error_handler_t::replace)));
  }
}

std::string entry_text(const PlanEntry& entry) {
  std::string text = fmt::format("{{\"name\": {}", quoted(entry.name));
  if (!entry.format) return text + ", \"format\": \"keep\"}";
  const PlannedFormat& planned = *entry.format;
  check(planned);
  text += fmt::format(", \"format\": \"{}\"", to_string(planned.format));
  if (planned.algorithm != WeightAlgorithm::nearest)
    text += fmt::format(", \"algorithm\": \"{}\"", to_string(planned.algorithm));
  if (planned.accuracy_level != 0) text += fmt::format(", \"accuracy_level\": {}", planned.accuracy_level);
  if (planned.smooth == kChooseSmooth) {
    text += ", \"smooth\": \"auto\"";
  } else if (planned.smooth != 0) {
    text += fmt::format(", \"smooth\": {}", Json(planned.smooth).dump());
  }
  return text + "}";
}

// All but the closing brace and what may stand before it.
std::string deciding_text(const QuantPlan& plan) {
  std::string text = "{\n  \"format\": 1,\n";
  if (!plan.model.empty()) text += fmt::format("  \"model\": {},\n", quoted(plan.model));
  if (!plan.model_sha256.empty()) text += fmt::format("  \"model_sha256\": {},\n", quoted(plan.model_sha256));
  if (plan.calibration != Calibration{}) {
    check(plan.calibration);
    text += fmt::format("  \"calibrate\": \"{}\",\n", to_string(plan.calibration));
  }
  if (plan.embedding) text += fmt::format("  \"embedding\": \"{}\",\n", to_string(*plan.embedding));
  text += "  \"units\": [";
  for (std::size_t i = 0; i < plan.entries.size(); ++i)
    text += (i == 0 ? "\n    " : ",\n    ") + entry_text(plan.entries[i]);
  return text + "\n  ]";
}

}  // namespace

std::string to_string(WeightAlgorithm algorithm) {
  switch (algorithm) {
    case WeightAlgorithm::least_squares:
      return "least-squares";
    case WeightAlgorithm::gptq:
      return "gptq";
    case WeightAlgorithm::nearest:
      break;
  }
  return "nearest";
}

WeightAlgorithm parse_weight_algorithm(std::string_view text) {
  for (const WeightAlgorithm algorithm : kAlgorithms) {
    if (text == to_string(algorithm)) return algorithm;
  }
  throw UsageError(
      fmt::format("no weight algorithm \"{}\"; there are nearest, least-squares and gptq", text));
}

void check(const PlannedFormat& planned) {
  check(planned.format);
  const bool weight_only = planned.format.activations == ActivationRounding::kept;
  if (planned.accuracy_level < 0 || planned.accuracy_level > kMostAccuracy) {
    throw UsageError(fmt::format("accuracy_level {}; it is a whole number of 0 to {}", planned.accuracy_level,
                                 kMostAccuracy));
  }
  if (planned.smooth != kChooseSmooth && !(planned.smooth >= 0 && planned.smooth <= 1)) {
    throw UsageError(
        fmt::format("smooth {}; it is a number above 0 to 1, 0 for none, or \"auto\"", planned.smooth));
  }
  if (planned.accuracy_level != 0 && !weight_only) {
    throw UsageError(fmt::format(
        "accuracy_level {} with the format {}; it is of int8, int8:B and int4:B, whose activations are kept",
        planned.accuracy_level, to_string(planned.format)));
  }
  if (planned.smooth != 0 && weight_only) {
    throw UsageError(fmt::format(
        "smooth {} with the format {}; it is of int8-dynamic and int8-static, whose activations "
        "are rounded too",
        planned.smooth < 0 ? "auto" : fmt::format("{}", planned.smooth), to_string(planned.format)));
  }
}

std::optional<PlannedFormat> QuantPlan::of(std::string_view unit) const {
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (fits_pattern(entry->name, unit)) return entry->format;
  }
  return std::nullopt;
}

std::string QuantPlan::to_json() const {
  std::string text = deciding_text(*this);
  if (!record.empty()) {
    text += ",\n  \"record\": ";
    for (const char c : parse_json(record, "the record of a plan").dump(2)) {
      text += c;
      if (c == '\n') text += "  ";
    }
  }
  text += "\n}\n";
  try {
    (void)parse(text, "a plan to be written");
  } catch (const InputError& error) {
    throw UsageError(error.what());
  }
  return text;
}

std::string QuantPlan::sha256() const { return sha256_of(deciding_text(*this)); }

}  // namespace qvl
