// The curve of error against size of a run, kept in its store beside the measurements.
#pragma once

#include <optional>

#include "qvl/sensitivity.h"
#include "sensitivity/measurement_store.h"
#include "sensitivity/run_settings.h"

namespace qvl {

// Of a run with the same settings; each has its own. Throws InputError when what is stored is broken.
[[nodiscard]] std::optional<PlanFront> stored_front(const RunSettings& settings,
                                                    const MeasurementStore& store);
// Replaces the curve. Marks stay: those of the front are put to them, in place of those of the same name, but
// for measured ones, which one that is not measured does not replace. Marks are kept by rising bytes.
void store_front(const RunSettings& settings, MeasurementStore& store, const PlanFront& front);

// Replaces the curve and all marks.
void replace_front(const RunSettings& settings, MeasurementStore& store, const PlanFront& front);

}  // namespace qvl
