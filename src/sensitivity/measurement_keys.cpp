#include "sensitivity/measurement_keys.h"

namespace qvl {
namespace {

constexpr const char* kFused = "fused attention";

std::string join(const std::string& a, const std::string& b) {
  return a + (a.empty() || b.empty() ? "" : "; ") + b;
}

std::string plain_context(const MeasurementKeys& keys) {
  return join(keys.fused_attention ? kFused : "", keys.outputs);
}

std::string context_of(const MeasurementKeys& keys, const Format& format, bool several_units) {
  std::string context;
  if (format.activations == ActivationRounding::static_u8) context += "calibration " + keys.calibration;
  if (several_units) context += (context.empty() ? "units " : "; units ") + keys.unit_set;
  return join(context, plain_context(keys));
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
  return {sample_sha256, "", "", kind, plain_context(*this)};
}

}  // namespace qvl
