#include "sensitivity/measurement_keys.h"

namespace qvl {
namespace {

constexpr const char* kFused = "fused attention";

std::string context_of(const MeasurementKeys& keys, const Format& format, bool several_units) {
  std::string context;
  if (format.activations == ActivationRounding::static_u8) context += "calibration " + keys.calibration;
  if (several_units) context += (context.empty() ? "units " : "; units ") + keys.unit_set;
  if (keys.fused_attention) context += (context.empty() ? "" : "; ") + std::string(kFused);
  return context;
}

}  // namespace

MeasurementKey MeasurementKeys::of(const std::string& sample_sha256, const std::string& unit,
                                   const Format& format, const std::string& kind) const {
  return {sample_sha256, unit, to_string(format), kind, context_of(*this, format, kind == "out")};
}

MeasurementKey MeasurementKeys::of_whole(const std::string& sample_sha256, const Format& format) const {
  return {sample_sha256, "", to_string(format), "all", context_of(*this, format, true)};
}

MeasurementKey MeasurementKeys::of_plain(const std::string& sample_sha256, const std::string& kind) const {
  return {sample_sha256, "", "", kind, fused_attention ? kFused : ""};
}

}  // namespace qvl
