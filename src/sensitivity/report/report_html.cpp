#include <string>
#include <string_view>

#include "sensitivity/report/report_files.h"
#include "sensitivity/report/report_page.h"

namespace qvl {
namespace {

std::string html_text(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

// JSON has '<' in strings only, where \u003c is the same: then no name in the report can end the script
// element that holds it, or open a comment.
std::string script_data(std::string_view json) {
  std::string escaped;
  escaped.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      escaped += "\\u003c";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

// Of what only reports with logits have.
constexpr std::string_view kWordsOfLogits =
    "      <dt>KL</dt><dd>Kullback-Leibler divergence of the next token's distribution, unquantized against "
    "quantized, in nats;\n"
    "        mean over all positions that predict an answer, with the standard error of the mean.</dd>\n"
    "      <dt>Top-1</dt><dd>Share of those positions with the same most likely token.</dd>";

std::string script() {
  std::string text;
  for (std::size_t i = 0; !report_page_script(i).empty(); ++i) text += report_page_script(i);
  return text;
}

// Fills in the page's marks, whose order is known, so that what was filled in is never searched for marks.
class PageText {
 public:
  explicit PageText(std::string_view page) : rest_(page) {}

  void fill(std::string_view mark, std::string_view value) {
    const std::size_t at = rest_.find(mark);
    text_ += rest_.substr(0, at);
    text_ += value;
    rest_.remove_prefix(at + mark.size());
  }

  [[nodiscard]] std::string whole() && {
    text_ += rest_;
    return std::move(text_);
  }

 private:
  std::string_view rest_;
  std::string text_;
};

}  // namespace

std::string report_html(const SensitivityReport& report) {
  const std::string title = html_text(report.model);
  PageText page(report_page_html());
  page.fill("[[title]]", title);
  page.fill("[[style]]", report_page_style());
  page.fill("[[title]]", title);
  page.fill("[[words]]", report.has_logits ? kWordsOfLogits : "");
  page.fill("[[report]]", script_data(report_json(report)));
  page.fill("[[script]]", script());
  return std::move(page).whole();
}

}  // namespace qvl
