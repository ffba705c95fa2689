// Words that every report uses in the same way.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qvl/sensitivity.h"

namespace qvl {

// As the keys of JSON: "kl", "mse", "nncf_mean_variance", "weight_mse", "random".
[[nodiscard]] std::string criterion_name(Criterion criterion);
[[nodiscard]] std::optional<Criterion> criterion_from_name(std::string_view name);

// The formats that a report has results of, each once, in the order in which they first occur in units, whole
// and correlations.
[[nodiscard]] std::vector<std::string> formats_of(const SensitivityReport& report);

}  // namespace qvl
