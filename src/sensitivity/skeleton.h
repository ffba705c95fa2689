// A report before anything is measured: what the units are and where they stand.
#pragma once

#include <string>
#include <vector>

#include "qvl/sensitivity.h"
#include "replay/program.h"

namespace qvl {

// A unit's name taken apart for tables and maps.
struct UnitPlace {
  std::string layer;  // up to the last part of the name that ends in a number ("/model/layers.3"), or the
                      // model's part
  std::string kind;   // what follows, without the op ("self_attn/q_proj"); the op where nothing is left
};
[[nodiscard]] UnitPlace place_of(const std::string& name, const std::string& op, const std::string& part);

// `selected`: by unit of all parts.
[[nodiscard]] SensitivityReport make_skeleton(const Program& program, const std::vector<bool>& selected,
                                              const SensitivityOptions& options);

}  // namespace qvl
