#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include "replay/unmeasured.h"
#include "sensitivity/report/report_files.h"
#include "sensitivity/report/report_names.h"
#include "sensitivity/report/report_ranking.h"
#include "sensitivity/report/report_verdict.h"

namespace qvl {
namespace {

constexpr std::size_t kMostRanked = 20;
constexpr std::size_t kMostOfOther = 5;  // units that are told of an output beside the one that is ranked by

// Text from outside as a code span that no cell of a table is broken by.
std::string code(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    if (c == '|') {
      shown += "\\|";
    } else if (c == '`') {
      shown += '\'';
    } else {
      shown += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  if (shown.find_first_not_of(' ') == std::string::npos) return "";
  return "`" + shown + "`";
}

std::string figure(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? fmt::format("{:.3g}", *value) : "";
}

std::string percent(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? fmt::format("{:.2f}%", 100 * *value) : "";
}

// Shows as empty cells.
OutputError no_output() {
  OutputError error;
  error.mse = std::nan("");
  return error;
}

LocalError no_local() {
  LocalError error;
  error.relative_error = error.sqnr_db = std::nan("");
  return error;
}

std::string kl_text(const OutputError& error) {
  const std::string kl = figure(error.kl);
  const std::string deviation = figure(error.kl_stderr);
  return deviation.empty() ? kl : kl + " ± " + deviation;
}

std::string hash_text(const std::string& sha256) { return sha256.empty() ? "" : ", SHA-256 " + code(sha256); }

std::string summary(const SensitivityReport& report) {
  double parameters = 0;
  for (const UnitResult& unit : report.units) parameters += static_cast<double>(unit.parameters);
  std::string formats;
  for (const std::string& format : formats_of(report)) {
    formats += (formats.empty() ? "" : ", ") + code(format);
  }
  std::string text = "# Quantization sensitivity\n\n| | |\n|---|---|\n";
  const auto row = [&](std::string_view name, const std::string& value) {
    text += fmt::format("| {} | {} |\n", name, value);
  };
  row("model", code(report.model) + hash_text(report.model_sha256));
  row("data", code(report.data) + hash_text(report.data_sha256));
  row("samples", fmt::format("{}", report.samples));
  if (report.has_logits) row("positions", fmt::format("{}", report.positions));
  row("units", fmt::format("{}, {:.4g} million parameters", report.units.size(), parameters / 1e6));
  for (const BodyUnits& bodies : report.unmeasured) row("not measured", to_text(bodies, "not measured"));
  if (const std::string fixed = in_body_text(report); !fixed.empty()) row("not quantized", fixed);
  const std::vector<std::string> unseen = unseen_units(report);
  if (!unseen.empty())
    row("not reached", fmt::format("{} units do not reach {}: {}{}", unseen.size(), code(report.output),
                                   code(unseen.front()), unseen.size() > 1 ? ", …" : ""));
  row("formats", formats);
  row("ranked by", report.output.empty()
                       ? std::string(criterion_name(report.criterion))
                       : fmt::format("{} of {}", criterion_name(report.criterion), code(report.output)));
  if (report.exact_unquantized) row("exact answers, unquantized", percent(report.exact_unquantized));
  return text;
}

std::string whole_table(const SensitivityReport& report) {
  if (report.whole.empty()) return "";
  std::string text = "\n## The whole model quantized\n\n";
  text += report.has_logits ? "| format | verdict | KL ± standard error | KL, median | KL, 99% | MSE | same "
                              "top-1 | exact answers |\n"
                              "|---|---|--:|--:|--:|--:|--:|--:|\n"
                            : "| format | verdict | MSE |\n|---|---|--:|\n";
  for (const WholeResult& whole : report.whole) {
    const OutputError error = whole.all.value_or(no_output());
    text += fmt::format("| {} | {} |", code(whole.format), verdict_words(report, whole));
    if (report.has_logits) {
      text += fmt::format(" {} | {} | {} | {} | {} | {} |\n", kl_text(error), figure(error.kl_median),
                          figure(error.kl_p99), figure(error.mse), percent(error.top1), percent(error.exact));
    } else {
      text += fmt::format(" {} |\n", figure(error.mse));
    }
  }
  return text;
}

// Of outputs beside the one that is ranked by.
std::string others_table(const SensitivityReport& report) {
  const auto others_of = [](const std::optional<OutputError>& error) {
    return error ? error->others : decltype(error->others){};
  };
  if (std::ranges::all_of(report.whole, [&](const WholeResult& w) { return others_of(w.all).empty(); }))
    return "";
  std::string text = "\n## MSE of the other outputs\n\n| output | unit | format | MSE |\n|---|---|---|--:|\n";
  const auto row = [&](const std::string& output, const std::string& unit, const std::string& format,
                       const std::optional<double>& mse) {
    text += fmt::format("| {} | {} | {} | {} |\n", code(output), unit, code(format),
                        mse ? figure(mse) : "another shape");
  };
  for (const WholeResult& whole : report.whole) {
    for (const auto& [output, mse] : others_of(whole.all)) {
      row(output, "all", whole.format, mse);
      // The units that disturb it most.
      std::vector<std::pair<double, std::string>> units;
      for (const UnitResult& unit : report.units) {
        for (const FormatResult& result : unit.formats) {
          for (const auto& [name, own] : others_of(result.in)) {
            if (result.format == whole.format && name == output && own && *own > 0)
              units.emplace_back(-*own, unit.name);
          }
        }
      }
      std::ranges::sort(units);
      for (std::size_t i = 0; i < std::min(units.size(), kMostOfOther); ++i)
        row(output, code(units[i].second), whole.format, -units[i].first);
    }
  }
  return text;
}

// Commands that are right in the report's own folder.
std::string next_section(const SensitivityReport& report) {
  const std::vector<NextStep> steps = next_steps(report, {});
  if (steps.empty()) return "";
  std::string text = "\n## What next\n\nIn the folder of this report:\n\n```sh\n";
  for (const NextStep& step : steps) text += fmt::format("# {}\n{}\n", step.what, step.command);
  return text + "```\n";
}

std::string trust_section(const SensitivityReport& report) {
  std::string text;
  for (const EstimateTrust& trust : report.trust) {
    text += fmt::format("- {}, {}: {}.\n", code(trust.format),
                        trust.direction == "in" ? "only this unit" : "all but this unit", trust_words(trust));
  }
  return text.empty() ? "" : "\n## How far the estimates can be trusted\n\n" + text;
}

bool by_score(const SensitivityReport& report) {
  return report.criterion != Criterion::kl && report.criterion != Criterion::mse;
}

// Columns that the report has numbers for.
std::string ranking_head(const SensitivityReport& report) {
  std::string names = "| rank | unit | op | shape |";
  std::string line = "|--:|---|---|--:|";
  const auto column = [&](bool there, const char* name) {
    if (!there) return;
    names += fmt::format(" {} |", name);
    line += "--:|";
  };
  const bool logits = report.has_logits && !by_score(report);
  column(logits, "KL ± standard error");
  column(!by_score(report), "MSE");
  column(logits, "same top-1");
  column(!by_score(report), "SQNR, dB");
  column(!by_score(report), "relative error");
  column(by_score(report), "score");
  return names + " method |\n" + line + "---|\n";
}

std::string ranking_row(const SensitivityReport& report, std::size_t rank, const RankedUnit& ranked,
                        RankingDirection direction) {
  const UnitResult& unit = *ranked.unit;
  const FormatResult& result = *ranked.result;
  const OutputError error =
      (direction == RankingDirection::in ? result.in : result.out).value_or(no_output());
  const LocalError local = result.local.value_or(no_local());
  std::string row =
      fmt::format("| {} | {} | {} | {} x {} |", rank, code(unit.name), code(unit.op), unit.depth, unit.rows);
  const auto cell = [&](const std::string& text) { row += fmt::format(" {} |", text); };
  if (by_score(report)) {
    cell(figure(result.score));
  } else {
    if (report.has_logits) cell(kl_text(error));
    cell(figure(error.mse));
    if (report.has_logits) cell(percent(error.top1));
    cell(figure(local.sqnr_db));
    cell(figure(local.relative_error));
  }
  cell(result.method);
  return row + "\n";
}

std::string ranking(const SensitivityReport& report, const std::string& format, RankingDirection direction) {
  const std::vector<RankedUnit> ranked = rank_units(report, format, direction);
  if (ranked.empty()) return "";
  const std::size_t shown = std::min(ranked.size(), kMostRanked);
  std::string what =
      direction == RankingDirection::in ? "only this unit quantized" : "all but this unit quantized";
  if (by_score(report)) what = fmt::format("by {}", criterion_name(report.criterion));
  std::string text = fmt::format(
      "\n## Most sensitive: {}, {}\n\n{} of {} units{}.\n\n", code(format), what, shown, ranked.size(),
      direction == RankingDirection::in ? "" : ", the smallest error that remains first");
  text += ranking_head(report);
  for (std::size_t i = 0; i < shown; ++i) text += ranking_row(report, i + 1, ranked[i], direction);
  return text;
}

std::string rankings(const SensitivityReport& report) {
  std::string text;
  for (const std::string& format : formats_of(report)) {
    text += ranking(report, format, RankingDirection::in);
    if (!by_score(report)) text += ranking(report, format, RankingDirection::out);
  }
  return text;
}

std::string correlation_table(const SensitivityReport& report) {
  if (report.correlations.empty()) return "";
  std::string text =
      "\n## Fast against exact\n\n| format | direction | measure | Spearman | units "
      "|\n|---|---|---|--:|--:|\n";
  for (const Correlation& c : report.correlations) {
    text += fmt::format("| {} | {} | {} | {} | {} |\n", code(c.format), c.direction, c.measure,
                        figure(c.spearman), c.units);
  }
  return text;
}

// Of the unquantized weights: bits are in proportion to bytes.
std::optional<double> unquantized_bits(const PlanFront& front) {
  for (const PlanPoint& point : front.points) {
    if (point.bytes == 0 || !std::isfinite(point.bits)) continue;
    return point.bits * (static_cast<double>(front.unquantized_bytes) / static_cast<double>(point.bytes));
  }
  return std::nullopt;
}

std::string front_table(const SensitivityReport& report) {
  if (!report.front) return "";
  const PlanFront& front = *report.front;
  const char* measure = report.has_logits ? "KL" : "MSE";
  std::string text = fmt::format(
      "\n## Error against size\n\n| plan | bytes | bits a weight | {0}, predicted | {0}, measured "
      "|\n|---|--:|--:|--:|--:|\n",
      measure);
  const auto row = [&](const std::string& name, std::uint64_t bytes, const std::optional<double>& bits,
                       const std::optional<double>& predicted, const std::optional<double>& measured) {
    text += fmt::format("| {} | {} | {} | {} | {} |\n", name, bytes, figure(bits), figure(predicted),
                        figure(measured));
  };
  for (const PlanMark& mark : front.marks) {
    row(code(mark.name), mark.point.bytes, mark.point.bits, mark.point.error, mark.measured);
  }
  if (!front.points.empty()) {
    const PlanPoint& smallest = front.points.front();
    const PlanPoint& largest = front.points.back();
    row("the smallest there is", smallest.bytes, smallest.bits, smallest.error, std::nullopt);
    row("the best there is", largest.bytes, largest.bits, largest.error, std::nullopt);
  }
  row("unquantized", front.unquantized_bytes, unquantized_bits(front), std::nullopt, std::nullopt);
  return text;
}

std::string settings_table(const SensitivityReport& report) {
  if (report.settings.empty()) return "";
  std::string text = "\n## Settings\n\n| setting | value |\n|---|---|\n";
  for (const auto& [key, value] : report.settings)
    text += fmt::format("| {} | {} |\n", code(key), code(value));
  return text;
}

}  // namespace

std::string report_markdown(const SensitivityReport& report) {
  return summary(report) + whole_table(report) + others_table(report) + next_section(report) +
         front_table(report) + trust_section(report) + rankings(report) + correlation_table(report) +
         settings_table(report);
}

}  // namespace qvl
