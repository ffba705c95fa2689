// Normalization Form C (Unicode annex 15), by ICU, limited to the characters of Unicode 9: those that
// tokenizers 0.23 normalizes (its crate unicode-normalization-alignments has the tables of Unicode 9).
// Normalization of assigned characters never changes, so the result does not depend on ICU's version.
#pragma once

#include <string>
#include <string_view>

namespace qvl {

// `text` in NFC: either `text` itself, or `buffer`, which is overwritten. Valid UTF-8 of at most 2^31 - 1
// bytes. Throws MachineError when ICU fails (its data are missing).
[[nodiscard]] std::string_view to_nfc(std::string_view text, std::string& buffer);

}  // namespace qvl
