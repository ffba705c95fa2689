// Patterns as tokenizer.json has them (Oniguruma's syntax) rewritten for PCRE2.
//
// Not run by Oniguruma itself: without machine code it splits at a third of PCRE2's speed, and it does not say
// where in a pattern a mistake is.
#pragma once

#include <string>
#include <string_view>

namespace qvl {

// Only what means the same in both engines is let through, or what can be rewritten so that it does:
//   \s and \S become the White_Space characters (PCRE2's \s also takes U+180E), \d becomes \p{Nd},
//   a script's name in \p{...} becomes \p{sc:...} (PCRE2's plain names mean script extensions).
// Supported: literals, ., alternation, groups ( (?: (?i: (?= (?! (?<= (?<! (?>, sets with ranges, \p and \P
// with general categories and scripts, \r \n \t \f \a \e \v \xHH, escaped punctuation, quantifiers ? * + {n}
// {n,} {n,m} with lazy forms and possessive ?+ *+ ++. Throws InputError, naming `source` and the place in the
// pattern, for anything else (\w and \b, anchors, back references, set operations, other flags).
// Case-insensitive text is folded character by character.
[[nodiscard]] std::string to_pcre2_syntax(std::string_view pattern, std::string_view source);

}  // namespace qvl
