// The plans that were made from a report, as it keeps them.
#pragma once

#include <filesystem>

namespace qvl {

// The store of a report folder. Throws InputError when it has none.
[[nodiscard]] std::filesystem::path store_in(const std::filesystem::path& report);

// Where a plan goes. Throws InputError where it cannot be written (see output_place) and where a file is that
// is neither empty nor a plan.
void require_plan_place(const std::filesystem::path& place);

}  // namespace qvl
