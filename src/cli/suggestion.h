// The word that was meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qvl::cli {

// Single letters to insert, drop, replace or swap with their neighbour until one word is the other (optimal
// string alignment, Damerau 1964). Upper and lower case are one.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

// The known word that is nearest to `given`; of equally near ones the first. "" when none is near: more than
// two letters differ and more than a third of its own.
[[nodiscard]] std::string nearest_word(std::string_view given, const std::vector<std::string>& known);

}  // namespace qvl::cli
