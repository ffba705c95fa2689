#include "verify/weight_checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/parallel.h"
#include "folder/artifact_names.h"
#include "folder/fingerprint.h"
#include "verify/quantized_compare.h"
#include "verify/weight_compare.h"

namespace qvl {
namespace {

// Each takes 50 MB at most.
constexpr int kMostThreads = 4;
constexpr std::size_t kMostProblemsShown = 5;

const TensorReport* report_of(const ManifestArtifact& a, std::string_view tensor) {
  const auto found = std::ranges::find(a.tensors, tensor, &TensorReport::name);
  return found == a.tensors.end() ? nullptr : &*found;
}

// Why an artifact's numbers cannot be looked at; empty when they can.
std::string obstacle(const SubjectArtifact& artifact) {
  if (!artifact.whole) return "its files are missing or cut";
  if (!artifact.agrees) return "the manifest does not say where its tensors are";
  return "";
}

std::string joined(std::span<const std::string> problems) {
  const auto shown = problems.first(std::min(problems.size(), kMostProblemsShown));
  std::string text = fmt::format("{}", fmt::join(shown, "; "));
  if (problems.size() > shown.size())
    text += fmt::format("; and {} more tensors", problems.size() - shown.size());
  return text;
}

Check compare(const Subject& subject, const SubjectArtifact& artifact, const std::vector<WeightTask>& tasks,
              const std::string& stage, bool stop_at_first, const std::string& good) {
  SharedProgress progress(subject.options.progress);
  std::uint64_t bytes = 0;
  for (const WeightTask& task : tasks) bytes += task.report->size_bytes;
  progress.begin(stage, bytes);
  WeightCompareOptions options;
  options.threads = std::min(static_cast<int>(worker_count(subject.options.threads)), kMostThreads);
  options.stop_at_first = stop_at_first;
  options.cancel = subject.options.cancel;
  options.progress = &progress;
  const WeightComparison comparison =
      compare_weights(subject.place(artifact.manifest.data_file), tasks,
                      subject.checkpoint ? &subject.checkpoint->files : nullptr, options);
  progress.end();
  Check check = passed(good);
  if (!comparison.problems.empty()) {
    check = failed(joined(comparison.problems));
  }
  check.tensors = comparison.tensors;
  check.bytes = comparison.bytes;
  return check;
}

// Whether both data files are one and hold the same tensors at the same places.
bool is_twin(const Subject& subject, const SubjectArtifact& a, const SubjectArtifact& b) {
  std::error_code error;
  const auto same = [](const TensorReport& x, const TensorReport& y) {
    return x.name == y.name && x.source == y.source && x.source_dtype == y.source_dtype &&
           x.dtype == y.dtype && x.shape == y.shape && x.transform == y.transform &&
           x.offset_bytes == y.offset_bytes && x.size_bytes == y.size_bytes && x.stats == y.stats;
  };
  return std::filesystem::equivalent(subject.place(a.manifest.data_file), subject.place(b.manifest.data_file),
                                     error) &&
         !error && std::ranges::equal(a.manifest.tensors, b.manifest.tensors, same);
}

// Every tensor that the checkpoint's model has in this artifact as it is. Throws InputError when the manifest
// lacks one.
std::vector<WeightTask> tasks_of(const SubjectArtifact& artifact, const TensorTable& table) {
  std::vector<WeightTask> tasks;
  for (const TensorRow& row : table.rows()) {
    if (row.part != artifact.kind.part()) continue;
    const TensorReport* report = report_of(artifact.manifest, row.name);
    if (report == nullptr && !quantized_tasks(artifact.manifest, row, artifact.dtype).empty()) continue;
    if (report == nullptr) throw InputError(fmt::format("it has no tensor {}", row.name));
    // Not believed of the manifest: a square weight would pass in either layout.
    if (report->transform != row.transform) {
      throw InputError(fmt::format("the manifest states another transform of {} than the model's", row.name));
    }
    tasks.push_back({report, nullptr, &row});
  }
  return tasks;
}

std::vector<QuantizedTask> quantized_tasks_of(const SubjectArtifact& artifact, const TensorTable& table) {
  std::vector<QuantizedTask> tasks;
  for (const TensorRow& row : table.rows()) {
    if (row.part != artifact.kind.part()) continue;
    const auto own = quantized_tasks(artifact.manifest, row, artifact.dtype);
    tasks.insert(tasks.end(), own.begin(), own.end());
  }
  return tasks;
}

class WeightCheck {
 public:
  explicit WeightCheck(const Subject& subject) : subject_(subject) {}

  Check fingerprint() {
    const std::string found = checkpoint_fingerprint(subject_.checkpoint->files);
    same_ = found == subject_.manifest.fingerprint;
    if (same_) return passed("its fingerprint is the manifest's: the folder was exported from it");
    return failed(
        fmt::format("another checkpoint: its fingerprint is {}, that of the one exported, {}, is {}", found,
                    subject_.manifest.checkpoint, subject_.manifest.fingerprint));
  }

  Check weights(const SubjectArtifact& artifact) {
    if (const std::string why = obstacle(artifact); !why.empty()) return skipped(why);
    for (const SubjectArtifact& other : subject_.artifacts) {
      if (&other == &artifact) break;
      const auto done = std::ranges::find(done_, &other, &Done::artifact);
      if (done == done_.end() || !is_twin(subject_, other, artifact)) continue;
      Check check = done->check;
      check.detail += fmt::format(" (one file with {})", other.manifest.data_file);
      return check;
    }
    const TensorTable table = subject_.checkpoint->model->tensors(artifact.manifest.tied_head);
    table.require_match(subject_.checkpoint->files);
    Check check =
        compare(subject_, artifact, tasks_of(artifact, table), "weights of " + artifact.manifest.artifact,
                !same_, "every tensor is the checkpoint's after the stated conversion, bit for bit");
    const std::vector<QuantizedTask> quantized = quantized_tasks_of(artifact, table);
    if (check.status == CheckStatus::passed && !quantized.empty())
      check = with_quantized(artifact, quantized, check);
    done_.push_back({&artifact, check});
    return check;
  }

 private:
  [[nodiscard]] Check with_quantized(const SubjectArtifact& artifact, std::span<const QuantizedTask> tasks,
                                     const Check& others) const {
    SharedProgress progress(subject_.options.progress);
    std::uint64_t bytes = 0;
    for (const QuantizedTask& task : tasks) bytes += task.levels->size_bytes;
    progress.begin("quantized weights of " + artifact.manifest.artifact, bytes);
    const WeightComparison found =
        compare_quantized(subject_.place(artifact.manifest.data_file), tasks, subject_.checkpoint->files,
                          {subject_.options.threads, false, subject_.options.cancel, &progress});
    progress.end();
    Check check = passed("every tensor is the checkpoint's, converted or rounded as stated");
    if (!found.problems.empty()) check = failed(joined(found.problems));
    check.tensors = others.tensors.value_or(0) + found.tensors;
    check.bytes = others.bytes.value_or(0) + found.bytes;
    return check;
  }

  struct Done {
    const SubjectArtifact* artifact;
    Check check;
  };

  const Subject& subject_;
  bool same_ = false;
  std::vector<Done> done_;
};

}  // namespace

void check_constants(const Subject& subject, CheckList& checks) {
  for (const SubjectArtifact& artifact : subject.artifacts) {
    checks.add("constants." + artifact.manifest.artifact, [&] {
      if (const std::string why = obstacle(artifact); !why.empty()) return skipped(why);
      if (artifact.rebuilt == nullptr)
        return skipped("the graph is not known to be what this version of qvl builds");
      std::vector<WeightTask> tasks;
      for (const ExternalTensor& tensor : artifact.rebuilt->external_tensors()) {
        if (!tensor.values) continue;
        const TensorReport* report = report_of(artifact.manifest, tensor.name);
        if (report == nullptr) throw InputError(fmt::format("it has no tensor {}", tensor.name));
        tasks.push_back({report, &*tensor.values, nullptr});
      }
      if (tasks.empty()) return passed("all its constants lie in the graph");
      return compare(subject, artifact, tasks, "constants of " + artifact.manifest.artifact, false,
                     "what qvl computed is what it computes from config.json now, bit for bit");
    });
  }
}

void check_weights(const Subject& subject, CheckList& checks) {
  WeightCheck check(subject);
  if (subject.checkpoint) checks.add("checkpoint", [&] { return check.fingerprint(); });
  for (const SubjectArtifact& artifact : subject.artifacts) {
    const std::string which = "weights." + artifact.manifest.artifact;
    if (!subject.checkpoint) {
      checks.add(which, skipped("no checkpoint: --checkpoint CHECKPOINT compares every tensor with it"));
    } else {
      checks.add(which, [&] { return check.weights(artifact); });
    }
  }
}

}  // namespace qvl
