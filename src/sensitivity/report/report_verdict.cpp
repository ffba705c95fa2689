#include "sensitivity/report/report_verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "quant/format.h"
#include "qvl/error.h"
#include "sensitivity/report/report_names.h"

namespace qvl {
namespace {

constexpr double kMostChanged = 0.01;  // of the most likely tokens
constexpr double kMostOff = 0.05;      // of the norm of the output
constexpr double kRanksWell = 0.9;     // Spearman
constexpr double kRanksPoorly = 0.7;
constexpr std::int64_t kUsualDepth = 1024;

// Two digits: "0.012", "2e-4". Rounded up with `up`.
std::string two_digits(double value, bool up = false) {
  if (!std::isfinite(value)) return "not finite";
  if (value <= 0) return "0";
  int power = static_cast<int>(std::floor(std::log10(value)));
  double scaled = value / std::pow(10.0, power - 1);
  auto digits = static_cast<int>(up ? std::ceil(scaled - 1e-9) : std::round(scaled));
  if (digits >= 100) {
    digits = 10;
    ++power;
  }
  if (power >= -2 && power < 6)
    return fmt::format("{:.{}f}", digits * std::pow(10.0, power - 1), std::max(0, 1 - power));
  return digits % 10 == 0 ? fmt::format("{}e{}", digits / 10, power)
                          : fmt::format("{}.{}e{}", digits / 10, digits % 10, power);
}

std::string share(double value) { return two_digits(100 * value) + "%"; }

// Right answers of the unquantized model, and how many of them are lost.
struct Answers {
  std::int64_t right = 0;
  std::int64_t lost = 0;
};

std::optional<Answers> answers_of(const SensitivityReport& report, const WholeResult& whole) {
  const OutputError& error = *whole.all;
  if (!report.exact_unquantized || !error.exact || report.samples < 1) return std::nullopt;
  const auto samples = static_cast<double>(report.samples);
  const double lost = (*report.exact_unquantized - *error.exact) * samples;
  if (!std::isfinite(lost)) return std::nullopt;
  // Reports from before they were counted have the difference only.
  return Answers{std::llround(*report.exact_unquantized * samples),
                 whole.answers_lost.value_or(std::llround(lost))};
}

// Norm of the error by that of the output.
std::optional<double> share_of_output(const SensitivityReport& report, const OutputError& error) {
  if (!report.output_mean_square || !(*report.output_mean_square > 0) || !(error.mse >= 0))
    return std::nullopt;
  return std::sqrt(error.mse / *report.output_mean_square);
}

bool is_good(const SensitivityReport& report, const WholeResult& whole) {
  const OutputError& error = *whole.all;
  if (const auto answers = answers_of(report, whole); answers && answers->right > 0)
    return answers->lost <= 0;
  if (error.top1) return *error.top1 >= 1 - kMostChanged;
  const auto off = share_of_output(report, error);
  return off && *off <= kMostOff;
}

// By which plans and verdicts compare.
std::optional<double> error_of(const SensitivityReport& report, const OutputError& error) {
  const double value = report.has_logits && error.kl ? *error.kl : error.mse;
  return std::isfinite(value) && value >= 0 ? std::optional(value) : std::nullopt;
}

std::optional<Format> known_format(const std::string& name) {
  try {
    return parse_format(name);
  } catch (const UsageError&) {  // of a report of another version
    return std::nullopt;
  }
}

double bits_of(const std::string& name) {
  const auto format = known_format(name);
  return format ? bits_per_weight(*format, kUsualDepth) : HUGE_VAL;
}

bool has_plans(const SensitivityReport& report) {
  return std::ranges::any_of(report.units, [](const UnitResult& unit) {
    return std::ranges::any_of(unit.formats, [](const FormatResult& f) { return f.in || f.score; });
  });
}

std::string in_shell(const std::string& text) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("_./-:=,+@%").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!text.empty() && text.front() != '-' && std::ranges::all_of(text, plain)) return text;
  std::string quoted = text.starts_with('-') ? "./'" : "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string within(const std::string& folder, const std::string& name) {
  if (folder == ".") return name;
  return folder.ends_with('/') ? folder + name : folder + "/" + name;
}

// A budget of bits that all units in this format keep, and a little more: what a file adds to a format's own
// bits (scales that are repeated, what fills up the last block) is the planner's to know.
std::string budget_of_bits(const SensitivityReport& report, const std::string& name) {
  const Format format = known_format(name).value_or(Format{});
  double bits = 0;
  double weights = 0;
  for (const UnitResult& unit : report.units) {
    const auto parameters = static_cast<double>(unit.parameters);
    bits += parameters * bits_per_weight(format, std::max<std::int64_t>(1, unit.depth), 32);
    weights += parameters;
  }
  return fmt::format("bits={:.1f}", std::ceil(10.5 * (weights > 0 ? bits / weights : 8)) / 10);
}

// The two commands of a plan.
void add_plan(std::vector<NextStep>& steps, const ReportPlaces& places, const std::string& budget,
              const std::string& what) {
  const std::string plan = within(places.report, "plan.json");
  steps.push_back({what, fmt::format("qvl plan {} --budget {} --out {}", places.report, budget, plan)});
  steps.push_back({"and write it", fmt::format("qvl quantize {} --plan {} --out {}", places.model, plan,
                                               within(places.report, "quantized-plan"))});
}

}  // namespace

ReportPlaces ReportPlaces::of(const std::string& report, const std::string& model, const std::string& data) {
  return {in_shell(report), in_shell(model), in_shell(data)};
}

std::string verdict_words(const SensitivityReport& report, const WholeResult& whole) {
  if (!whole.all) return "";
  const OutputError& error = *whole.all;
  std::string words;
  if (const auto answers = answers_of(report, whole); answers && answers->right > 0) {
    words = answers->lost <= 0 ? "no answer lost"
                               : fmt::format("{} of {} right answers lost", answers->lost, answers->right);
  } else if (error.top1 && std::isfinite(*error.top1)) {
    words = *error.top1 >= 1
                ? "the most likely token is the same everywhere"
                : fmt::format("the most likely token changes at {} of the positions", share(1 - *error.top1));
  }
  if (report.has_logits && error.kl) {
    return words + (words.empty() ? "" : ", ") + "KL " + two_digits(*error.kl);
  }
  words += (words.empty() ? "" : ", ") + std::string("MSE ") + two_digits(error.mse);
  if (const auto off = share_of_output(report, error)) words += ", " + share(*off) + " of the output";
  return words;
}

std::string trust_words(const EstimateTrust& trust) {
  if (!trust.spearman && trust.settled) {
    return fmt::format(
        "{} units were measured, until the first {} were settled; too few to check the estimate",
        trust.measured, trust.top);
  }
  const std::string measured =
      trust.measured > 0 ? fmt::format("{} units are measured, the others estimated", trust.measured)
                         : "all units are estimated";
  if (!trust.spearman) {
    return measured + "; the estimate was not checked on this model: --method auto checks it";
  }
  const char* how = *trust.spearman >= kRanksWell    ? "well"
                    : *trust.spearman < kRanksPoorly ? "poorly"
                                                     : "roughly";
  std::string words =
      fmt::format("the estimate ranks this model {} (Spearman {:.2f} ± {:.2f} on {} units drawn by chance",
                  how, *trust.spearman, trust.spearman_error, trust.checked);
  if (trust.top_found) {
    words += fmt::format("; {} of the {} most sensitive units are among its first {})", *trust.top_found,
                         trust.top, trust.top);
  } else {
    words += ")";
  }
  if (trust.settled) {
    return words + fmt::format("; {} units were measured, until the first {} were settled", trust.measured,
                               trust.top);
  }
  if (trust.measured > trust.checked) {
    return words + fmt::format(
                       "; {} units were measured, the first {} are not settled: the same command without "
                       "--shard on this folder goes on",
                       trust.measured, trust.top);
  }
  return words + (*trust.spearman >= kRanksWell ? "" : ": measure with --method auto or exact");
}

std::optional<std::string> smallest_good_format(const SensitivityReport& report) {
  std::optional<std::string> best;
  for (const WholeResult& whole : report.whole) {
    if (!whole.all || !known_format(whole.format) || !is_good(report, whole)) continue;
    if (!best || bits_of(whole.format) < bits_of(*best)) best = whole.format;
  }
  return best;
}

std::vector<NextStep> next_steps(const SensitivityReport& report, const ReportPlaces& places) {
  std::vector<NextStep> steps;
  if (std::ranges::all_of(report.units, &UnitResult::in_body)) return steps;  // nothing can be written
  const auto good = smallest_good_format(report);
  if (good) {
    const WholeResult& whole = *std::ranges::find(report.whole, *good, &WholeResult::format);
    std::string command = fmt::format("qvl quantize {} --format {} --out {}", places.model, *good,
                                      within(
                                          places.report, "quantized-" + [&] {
                                            std::string name = *good;
                                            std::ranges::replace(name, ':', '-');
                                            return name;
                                          }()));
    if (known_format(*good)->activations == ActivationRounding::static_u8 && !places.data.empty())
      command += " --data " + places.data;
    steps.push_back({fmt::format("all units in {}: {}", *good, verdict_words(report, whole)), command});
    const auto error = error_of(report, *whole.all);
    if (!error || *error == 0 || !has_plans(report)) return steps;
    if (report.has_logits) {
      add_plan(steps, places, "kl=" + two_digits(*error, true),
               fmt::format("the smallest mixture with no more KL than {}", *good));
    } else {
      add_plan(steps, places, budget_of_bits(report, *good),
               fmt::format("the mixture with the least MSE in the size of {}", *good));
    }
    return steps;
  }
  if (!has_plans(report)) return steps;
  std::optional<double> least;
  for (const WholeResult& whole : report.whole) {
    const auto error = whole.all ? error_of(report, *whole.all) : std::nullopt;
    if (error && (!least || *error < *least)) least = error;
  }
  if (report.has_logits && least && *least > 0) {
    add_plan(steps, places, "kl=" + two_digits(*least / 10, true),
             "no format alone is good enough; the smallest mixture with a tenth of the least KL");
  } else {
    add_plan(steps, places, "bits=12",
             report.whole.empty() ? "a mixture of 12 bits a weight, by this ranking"
                                  : "no format alone is good enough; the best mixture of 12 bits a weight");
  }
  return steps;
}

}  // namespace qvl
