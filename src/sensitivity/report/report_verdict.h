// What a report says in words: each format's verdict, how far estimates can be trusted, and what to do next.
// The same words stand in report.json, report.md, report.html and on stdout.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "qvl/sensitivity.h"

namespace qvl {

// "no answer lost, KL 2e-4"; "3 of 59 right answers lost, KL 0.012"; without answers "the most likely token
// changes at 1.2% of the positions, KL 2e-3"; without logits "MSE 3e-5, 0.4% of the output" (the norm of the
// error by that of the output, where it is known). Empty where nothing was measured.
[[nodiscard]] std::string verdict_words(const SensitivityReport& report, const WholeResult& whole);

// "the estimate ranks this model poorly (Spearman 0.50 ± 0.25 on 8 units drawn by chance): measure with
// --method auto or exact"
[[nodiscard]] std::string trust_words(const EstimateTrust& trust);

// The measured format of the fewest bits that loses nothing that counts: no right answer; without answers at
// most 1% of the most likely tokens; without logits at most 5% of the norm of the output.
[[nodiscard]] std::optional<std::string> smallest_good_format(const SensitivityReport& report);

struct NextStep {
  std::string what;
  std::string command;
};

// How commands name the report's folder and the model.
struct ReportPlaces {
  std::string report = ".";
  std::string model = ".";  // `qvl quantize` takes a report's folder for the model that was measured
  std::string data;         // of formats that need it; empty: that of the report

  // In words that a shell takes for one.
  static ReportPlaces of(const std::string& report, const std::string& model, const std::string& data);
};

// To quantize all in the smallest format that is good, and the smallest plan whose error is no larger; or a
// plan with a tenth of the least error, when no format is good. Empty where there is nothing to go by.
[[nodiscard]] std::vector<NextStep> next_steps(const SensitivityReport& report, const ReportPlaces& places);

}  // namespace qvl
