// Base64 (RFC 4648, section 4).
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace qvl {

// Blanks and line ends between the letters are passed over; the padding may be missing. Nothing for anything
// else that is not base64.
[[nodiscard]] std::optional<std::vector<std::byte>> decode_base64(std::string_view text);

}  // namespace qvl
