#include "text/nfc.h"

#include <fmt/format.h>
#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

#include "qvl/error.h"
#include "text/unicode_kind.h"
#include "text/utf8.h"

namespace qvl {
namespace {

void check(UErrorCode code, const char* what) {
  if (U_FAILURE(code)) throw MachineError(fmt::format("ICU cannot {}: {}", what, u_errorName(code)));
}

class Unicode9Normalizer {
 public:
  Unicode9Normalizer() : characters_(make_set()), normalizer_(nfc(), characters_) {}

  void normalize(std::string_view text, std::string& out) const {
    UErrorCode code = U_ZERO_ERROR;
    icu::StringByteSink<std::string> sink(&out, static_cast<std::int32_t>(text.size()));
    normalizer_.normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())), sink,
                              nullptr, code);
    check(code, "normalize");
  }

 private:
  static const icu::Normalizer2& nfc() {
    UErrorCode code = U_ZERO_ERROR;
    const icu::Normalizer2* normalizer = icu::Normalizer2::getNFCInstance(code);
    check(code, "load NFC");
    return *normalizer;
  }

  static icu::UnicodeSet make_set() {
    UErrorCode code = U_ZERO_ERROR;
    icu::UnicodeSet set(icu::UnicodeString::fromUTF8("[:age=9.0:]"), code);
    check(code, "list the characters of Unicode 9");
    set.freeze();
    return set;
  }

  icu::UnicodeSet characters_;
  icu::FilteredNormalizer2 normalizer_;
};

// Most text is in NFC already, and made of characters that NFC leaves alone wherever they stand.
bool has_normalizable(std::string_view text) {
  const std::uint8_t* kinds = unicode_kind::table();
  std::size_t i = 0;
  while (i < text.size()) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      i += ascii_prefix(text.substr(i));
      continue;
    }
    const CodePoint c = code_point_at(text.data() + i);
    if ((kinds[c.value] & unicode_kind::kNormalizable) != 0) return true;
    i += c.length;
  }
  return false;
}

}  // namespace

std::string_view to_nfc(std::string_view text, std::string& buffer) {
  if (!has_normalizable(text)) return text;
  static const Unicode9Normalizer normalizer;
  buffer.clear();
  normalizer.normalize(text, buffer);
  return buffer;
}

}  // namespace qvl
