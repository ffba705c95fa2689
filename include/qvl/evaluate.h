// How good and how fast model folders answer, side by side.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "qvl/error.h"
#include "qvl/progress.h"

namespace qvl {

struct EvaluateProgress {
  std::string folder;
  std::int64_t done = 0;  // questions
  std::int64_t questions = 0;
};

struct EvaluateOptions {
  std::vector<std::filesystem::path>
      folders;                      // model folders; the first is what the others are compared with, unless
  std::filesystem::path reference;  // another is named here
  std::filesystem::path data;       // a JSONL file of chats with answers, or with boxes
  int samples = 0;                  // the first so many; 0: all
  bool answers = true;              // also generate: exact answers and seconds; false: kl and top1 only
  std::string provider = "cpu";
  int threads = 0;
  std::function<void(const EvaluateProgress&)> on_progress;  // may be empty
  const CancelToken* cancel = nullptr;                       // may be null; must outlive the call
};

struct EvaluatedFolder {
  std::filesystem::path folder;
  std::uint64_t bytes = 0;     // graphs and data files, hard links once
  std::int64_t questions = 0;  // with a known answer
  std::int64_t exact = 0;      // of them answered exactly (boxes: every label there with IoU of 0.5 or more)
  std::int64_t same = 0;       // questions answered with the reference folder's very tokens
  // Against the reference folder, teacher-forced at the positions that predict the answer's tokens and its
  // end token; none for the reference itself.
  std::optional<double> kl;  // nats, mean
  std::optional<double> kl_stderr;
  std::optional<double> kl_median;
  std::optional<double> kl_p99;
  std::optional<double> top1;  // share of positions with the same most likely token
  std::int64_t positions = 0;
  double seconds_per_answer = 0;  // median over the questions; pictures and generation, without loading
  double seconds_per_answer_mean = 0;
};

struct Evaluation {
  std::string data;
  std::filesystem::path reference;
  std::vector<EvaluatedFolder> folders;
};

// Throws InputError for folders and data that cannot be used, and for folders of different tokenizers or
// picture sizes, MachineError, Interrupted.
[[nodiscard]] QVL_API Evaluation evaluate_folders(const EvaluateOptions& options);

}  // namespace qvl
