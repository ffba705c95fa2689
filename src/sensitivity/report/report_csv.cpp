#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>

#include "sensitivity/report/report_files.h"

namespace qvl {
namespace {

constexpr std::string_view kHeader =
    "name,op,weight,depth,rows,parameters,part,block,layer,kind,format,method,weight_mse,"
    "relative_error,sqnr_db,cosine,picture_relative_error,text_relative_error,"
    "in_mse,in_kl,in_kl_stderr,in_kl_median,in_kl_p99,in_top1,in_exact,"
    "out_mse,out_kl,out_kl_stderr,out_kl_median,out_kl_p99,out_top1,out_exact,"
    "fast_in_mse,fast_in_kl,fast_out_mse,fast_out_kl,score";

// Rows as in RFC 4180: fields with commas, quotes or line breaks in quotes, which are doubled; CR LF after
// each row. What is absent or not finite is an empty field.
class CsvText {
 public:
  // Fields that are joined already.
  void add_fields(std::string_view joined) {
    separate();
    text_ += joined;
  }

  void add(std::string_view field) {
    separate();
    if (field.find_first_of(",\"\r\n") == std::string_view::npos) {
      text_ += field;
      return;
    }
    text_ += '"';
    for (const char c : field) text_.append(c == '"' ? 2 : 1, c);
    text_ += '"';
  }

  void add(std::int64_t value) { add(fmt::to_string(value)); }

  void add(const std::optional<double>& value) {
    separate();
    if (value && std::isfinite(*value)) fmt::format_to(std::back_inserter(text_), "{}", *value);
  }

  void end_row() {
    text_ += "\r\n";
    row_is_empty_ = true;
  }

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  void separate() {
    if (!row_is_empty_) text_ += ',';
    row_is_empty_ = false;
  }

  std::string text_;
  bool row_is_empty_ = true;
};

// The member of what may be absent.
template <class Owner, class Member>
std::optional<double> value(const std::optional<Owner>& owner, Member Owner::* member) {
  return owner ? std::optional<double>((*owner).*member) : std::nullopt;
}

void add_output(CsvText& csv, const std::optional<OutputError>& error) {
  csv.add(value(error, &OutputError::mse));
  for (const auto member : {&OutputError::kl, &OutputError::kl_stderr, &OutputError::kl_median,
                            &OutputError::kl_p99, &OutputError::top1, &OutputError::exact}) {
    csv.add(value(error, member));
  }
}

// Names of the outputs beside the one that is ranked by.
std::vector<std::string> others_of(const SensitivityReport& report) {
  std::vector<std::string> names;
  const auto add = [&](const std::optional<OutputError>& error) {
    for (const auto& [name, mse] : error ? error->others : decltype(error->others){}) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  };
  for (const WholeResult& whole : report.whole) add(whole.all);
  return names;
}

std::optional<double> mse_of(const std::optional<OutputError>& error, const std::string& output) {
  if (!error) return std::nullopt;
  const auto found = std::ranges::find(error->others, output, [](const auto& other) { return other.first; });
  return found == error->others.end() ? std::nullopt : found->second;
}

void add_row(CsvText& csv, const UnitResult& unit, const FormatResult& result,
             const std::vector<std::string>& others) {
  for (const std::string* text : {&unit.name, &unit.op, &unit.weight}) csv.add(*text);
  for (const std::int64_t count : {unit.depth, unit.rows, unit.parameters}) csv.add(count);
  csv.add(unit.part);
  csv.add(unit.block);
  for (const std::string* text : {&unit.layer, &unit.kind, &result.format, &result.method}) csv.add(*text);
  csv.add(std::optional(result.weight_mse));
  for (const auto member : {&LocalError::relative_error, &LocalError::sqnr_db, &LocalError::cosine}) {
    csv.add(value(result.local, member));
  }
  csv.add(value(result.local, &LocalError::picture_relative_error));
  csv.add(value(result.local, &LocalError::text_relative_error));
  add_output(csv, result.in);
  add_output(csv, result.out);
  for (const std::optional<Estimate>* fast : {&result.fast_in, &result.fast_out}) {
    csv.add(value(*fast, &Estimate::mse));
    csv.add(value(*fast, &Estimate::kl));
  }
  csv.add(result.score);
  for (const std::optional<OutputError>* error : {&result.in, &result.out}) {
    for (const std::string& name : others) csv.add(mse_of(*error, name));
  }
  csv.end_row();
}

}  // namespace

std::string report_csv(const SensitivityReport& report) {
  const std::vector<std::string> others = others_of(report);
  CsvText csv;
  csv.add_fields(kHeader);
  for (const char* direction : {"in", "out"}) {
    for (const std::string& name : others) csv.add(fmt::format("{}_mse of {}", direction, name));
  }
  csv.end_row();
  for (const UnitResult& unit : report.units) {
    for (const FormatResult& result : unit.formats) add_row(csv, unit, result, others);
  }
  return csv.text();
}

}  // namespace qvl
