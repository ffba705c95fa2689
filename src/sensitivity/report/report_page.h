// The sources of report.html, embedded at build time.
#pragma once

#include <string_view>

namespace qvl {

// The page with the marks [[title]] (twice), [[style]], [[report]] and [[script]] in this order.
[[nodiscard]] std::string_view report_page_html();
[[nodiscard]] std::string_view report_page_style();
// One of several pieces that make one script, in order; empty after the last.
[[nodiscard]] std::string_view report_page_script(std::size_t piece);

}  // namespace qvl
