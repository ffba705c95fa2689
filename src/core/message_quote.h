// Text out of a file, made fit for a message.
#pragma once

#include <string>
#include <string_view>

namespace qvl {

// In double quotes; control characters are written as \xHH, and what is longer than 120 bytes is cut with
// "…": names in a broken file may be of any length.
[[nodiscard]] std::string quote_for_message(std::string_view text);

}  // namespace qvl
