// From measurements to the report.
#pragma once

#include "qvl/sensitivity.h"
#include "sensitivity/measurement_store.h"
#include "sensitivity/run_settings.h"

namespace qvl {

// The report that the settings ask for, from what is in the store; the same numbers give the same report.
// What was measured beyond that does not show. Throws InputError naming `source` when a number is missing.
[[nodiscard]] SensitivityReport fill_report(const RunSettings& settings, const MeasurementStore& store,
                                            const std::string& source);

}  // namespace qvl
