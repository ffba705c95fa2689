// How good and how fast model folders answer, side by side.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "qvl/error.h"
#include "qvl/input.h"
#include "qvl/progress.h"

namespace qvl {

struct EvaluateProgress {
  std::string folder;
  std::string stage;      // "pictures", then "questions", with what else they take
  std::int64_t done = 0;  // of the stage
  std::int64_t total = 0;
};

struct EvaluateOptions {
  std::vector<std::filesystem::path>
      folders;                      // model folders; the first is what the others are compared with, unless
  std::filesystem::path reference;  // another is named here
  std::filesystem::path data;       // a JSONL file of chats with answers, or with boxes
  int samples = 0;                  // the first so many; 0: all
  bool answers = true;              // also generate: exact answers and seconds; false: kl and top1 only
  std::int64_t max_new_tokens = 0;  // of an answer; 0: as Question
  std::string provider = "cpu";     // "cpu" or "cuda"
  int threads = 0;                  // 0: one per processor
  std::function<void(const EvaluateProgress&)> on_progress;  // may be empty
  const CancelToken* cancel = nullptr;                       // may be null; must outlive the call
  InputOptions input = {};
};

struct EvaluatedFolder {
  std::filesystem::path folder;
  std::uint64_t bytes = 0;  // graphs and data files, hard links once
  // Without answers, none of these.
  std::optional<std::int64_t> exact;  // known answers given exactly (boxes: each label with an IoU of 0.5)
  std::optional<std::int64_t> same;   // questions answered with the reference's very tokens; not of itself
  std::optional<double> seconds_per_answer;  // median; pictures and generation, without loading
  std::optional<double> seconds_per_answer_mean;
  // Against the reference folder, teacher-forced at the positions that predict the answer's tokens and its
  // end token; none for the reference itself.
  std::optional<double> kl;         // nats, mean
  std::optional<double> kl_stderr;  // of the mean
  std::optional<double> kl_median;
  std::optional<double> kl_p99;
  std::optional<double> top1;  // share of positions with the same most likely token
};

struct Evaluation {
  std::string data;  // name of the file
  std::filesystem::path reference;
  std::int64_t questions = 0;            // asked
  std::int64_t known = 0;                // of them with an answer or boxes
  std::int64_t positions = 0;            // that kl and top1 are means of
  std::vector<EvaluatedFolder> folders;  // as in the options; before them the reference, if it is not there
};

// Runs one folder after the other, holding one model at a time, the features of all pictures, and the
// reference's logits at the positions (256 MiB in memory, what is beyond in a temporary file). Throws
// UsageError for wrong options, InputError for folders and data that cannot be used and for folders of
// different tokenizers, vocabularies or picture sizes, MachineError, Interrupted.
[[nodiscard]] QVL_API Evaluation evaluate_folders(const EvaluateOptions& options);

}  // namespace qvl
