// report.json of a measured model: any text is a report, which can be written in every form and is then read
// as the same, or an InputError.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "qvl/error.h"
#include "sensitivity/report/report_files.h"
#include "sensitivity/report/report_reader.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// Only reports with logits explain what is told of these.
auto tags_of_empty(bool has_logits) {
  qvl::SensitivityReport empty;
  empty.has_logits = has_logits;
  return std::ranges::count(qvl::report_html(empty), '<');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const qvl::SensitivityReport report =
        qvl::parse_report({reinterpret_cast<const char*>(data), size}, "report.json");
    const std::string text = qvl::report_json(report);
    require(qvl::report_json(qvl::parse_report(text, "written")) == text);
    require(!qvl::report_csv(report).empty());
    require(!qvl::report_markdown(report).empty());
    // Nothing in a report becomes a tag of the page.
    static const auto tags = tags_of_empty(false);
    static const auto tags_with_logits = tags_of_empty(true);
    require(std::ranges::count(qvl::report_html(report), '<') ==
            (report.has_logits ? tags_with_logits : tags));
  } catch (const qvl::InputError&) {
    // expected for most inputs
  }
  return 0;
}
