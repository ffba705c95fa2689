#include "qvl/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <system_error>

#include "evaluation/folder_run.h"
#include "evaluation/kept_logits.h"
#include "evaluation/question_set.h"
#include "evaluation/question_tokens.h"
#include "folder/manifest.h"
#include "models/known_template.h"
#include "runtime/provider.h"
#include "sensitivity/metrics.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

// Of the reference's logits in memory: answers of a few words to about 30 questions with a vocabulary of
// 150000.
constexpr std::uint64_t kLogitsMemoryBytes = std::uint64_t{256} << 20U;

bool same_folder(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return a == b || fs::equivalent(a, b, error);
}

// The folders in the order of the result, and which of them is the reference.
struct Lineup {
  std::vector<fs::path> folders;
  std::size_t reference = 0;

  explicit Lineup(const EvaluateOptions& options) : folders(options.folders) {
    if (options.reference.empty()) return;
    const auto known = std::ranges::find_if(
        folders, [&](const fs::path& folder) { return same_folder(folder, options.reference); });
    reference = static_cast<std::size_t>(known - folders.begin());
    if (known != folders.end()) return;
    folders.insert(folders.begin(), options.reference);
    reference = 0;
  }
};

std::uint64_t artifact_bytes(const fs::path& folder) {
  std::vector<fs::path> counted;
  std::uint64_t bytes = 0;
  for (const ManifestArtifact& artifact : read_manifest(folder).artifacts) {
    for (const std::string& name : {artifact.file, artifact.data_file}) {
      const fs::path file = folder / name;
      if (std::ranges::any_of(counted, [&](const fs::path& other) { return fs::equivalent(file, other); }))
        continue;
      counted.push_back(file);
      bytes += fs::file_size(file);
    }
  }
  return bytes;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

class Evaluator {
 public:
  explicit Evaluator(const EvaluateOptions& options)
      : options_(options),
        set_(read_questions(options.data, static_cast<std::size_t>(options.samples), options.input)),
        lineup_(options),
        kept_(kLogitsMemoryBytes) {
    if (options.answers && set_.known == 0) {
      throw InputError(fmt::format(
          "no chat of {} has an answer or boxes; `\"answer\": \"…\"` is expected beside `messages` (without "
          "answers, kl and top1 can be measured at the reference's own: --no-answers)",
          options.data.string()));
    }
  }

  Evaluation run();

 private:
  void check_folders();
  EvaluatedFolder run_reference();
  EvaluatedFolder run_other(std::size_t index);
  void fill_answers(EvaluatedFolder& folder, const std::vector<std::optional<FolderAnswer>>& answers) const;

  const EvaluateOptions& options_;
  QuestionSet set_;
  Lineup lineup_;
  std::vector<ModelFolder> folders_;
  std::vector<QuestionTokens> tokens_;
  // Of the reference, by question.
  KeptLogits kept_;
  std::vector<std::size_t> place_;  // in kept_
  std::vector<ForcedTokens> forced_;
  std::vector<std::optional<FolderAnswer>> reference_answers_;
};

// What can be refused is refused before anything runs.
void Evaluator::check_folders() {
  for (const fs::path& folder : lineup_.folders) folders_.emplace_back(folder);
  const ModelFolder& reference = folders_[lineup_.reference];
  for (const ModelFolder& folder : folders_)
    require_known_template(folder.path(), folder.model().family(), options_.input);
  tokens_ = question_tokens(reference, set_);
  for (std::size_t i = 0; i < folders_.size(); ++i) {
    if (i != lineup_.reference) require_same_questions(reference, tokens_, folders_[i], set_);
  }
}

void Evaluator::fill_answers(EvaluatedFolder& folder,
                             const std::vector<std::optional<FolderAnswer>>& answers) const {
  if (!options_.answers) return;
  std::vector<double> seconds;
  std::int64_t exact = 0;
  for (const auto& answer : answers) {
    seconds.push_back(answer->seconds);
    exact += answer->right ? 1 : 0;
  }
  folder.exact = exact;
  folder.seconds_per_answer = median(seconds);
  folder.seconds_per_answer_mean =
      std::accumulate(seconds.begin(), seconds.end(), 0.0) / static_cast<double>(seconds.size());
}

EvaluatedFolder Evaluator::run_reference() {
  const std::size_t count = set_.questions.size();
  forced_.resize(count);
  place_.resize(count);
  FolderRun::Hooks hooks;
  hooks.wants_answer = [this](std::size_t q) { return options_.answers || !tokens_[q].answer; };
  hooks.forced = [this](std::size_t q, const std::optional<FolderAnswer>& answer) {
    forced_[q] = tokens_[q].answer ? ForcedTokens{*tokens_[q].answer, true}
                                   : ForcedTokens{answer->greedy.ids, answer->greedy.stop == StopReason::eos};
    return forced_[q];
  };
  hooks.on_logits = [this](std::size_t q, Tensor logits) {
    place_[q] = kept_.size();
    kept_.add(std::move(logits));
  };
  const ModelFolder& folder = folders_[lineup_.reference];
  reference_answers_ = FolderRun(folder, set_, tokens_, options_).run(hooks);
  EvaluatedFolder result;
  result.folder = folder.path();
  result.bytes = artifact_bytes(folder.path());
  fill_answers(result, reference_answers_);
  return result;
}

EvaluatedFolder Evaluator::run_other(std::size_t index) {
  const ModelFolder& folder = folders_[index];
  std::vector<OutputSums> sums(set_.questions.size());
  FolderRun::Hooks hooks;
  hooks.wants_answer = [this](std::size_t) { return options_.answers; };
  hooks.forced = [this](std::size_t q, const std::optional<FolderAnswer>&) { return forced_[q]; };
  hooks.on_logits = [&](std::size_t q, const Tensor& logits) {
    const Tensor expected = kept_.at(place_[q]);
    if (expected.shape() != logits.shape()) {
      throw InputError(fmt::format("{} gives logits {}, {} {}; folders of one vocabulary can be compared",
                                   folder.path().string(), to_string(logits.shape()),
                                   folders_[lineup_.reference].path().string(), to_string(expected.shape())));
    }
    AnswerRows rows;
    rows.rows.resize(static_cast<std::size_t>(logits.shape().front()));
    std::iota(rows.rows.begin(), rows.rows.end(), 0);
    sums[q] = output_sums(expected.view(), logits.view(), &rows);
  };
  const auto answers = FolderRun(folder, set_, tokens_, options_).run(hooks);
  EvaluatedFolder result;
  result.folder = folder.path();
  result.bytes = artifact_bytes(folder.path());
  fill_answers(result, answers);
  if (options_.answers) {
    std::int64_t same = 0;
    for (std::size_t q = 0; q < answers.size(); ++q) {
      const GreedyAnswer& own = answers[q]->greedy;
      const GreedyAnswer& expected = reference_answers_[q]->greedy;
      same += own.ids == expected.ids && own.stop == expected.stop ? 1 : 0;
    }
    result.same = same;
  }
  const OutputError error = output_error(sums);
  result.kl = error.kl;
  result.kl_stderr = error.kl_stderr;
  result.kl_median = error.kl_median;
  result.kl_p99 = error.kl_p99;
  result.top1 = error.top1;
  return result;
}

Evaluation Evaluator::run() {
  check_folders();
  Evaluation evaluation;
  evaluation.data = set_.name;
  evaluation.reference = lineup_.folders[lineup_.reference];
  evaluation.questions = static_cast<std::int64_t>(set_.questions.size());
  evaluation.known = static_cast<std::int64_t>(set_.known);
  evaluation.folders.resize(folders_.size());
  evaluation.folders[lineup_.reference] = run_reference();
  for (const ForcedTokens& forced : forced_)
    evaluation.positions += static_cast<std::int64_t>(forced.ids.size()) + (forced.with_end ? 1 : 0);
  for (std::size_t i = 0; i < folders_.size(); ++i) {
    if (i != lineup_.reference) evaluation.folders[i] = run_other(i);
  }
  return evaluation;
}

}  // namespace

Evaluation evaluate_folders(const EvaluateOptions& options) {
  if (options.folders.empty()) throw UsageError("no folder to evaluate; one at least is expected");
  if (options.samples < 0 || options.max_new_tokens < 0 || options.threads < 0)
    throw UsageError("samples, max_new_tokens and threads must not be negative");
  if (!provider_from_name(options.provider))
    throw UsageError(fmt::format("provider \"{}\"; cpu or cuda can be had", options.provider));
  return Evaluator(options).run();
}

}  // namespace qvl
