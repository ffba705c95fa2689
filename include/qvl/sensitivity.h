// Which units of a model break when they are quantized, measured on the ONNX files themselves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "qvl/error.h"
#include "qvl/input.h"
#include "qvl/progress.h"

namespace qvl {

// exact: every candidate is replayed to the model's output. fast: errors at the end of the unit's block times
// a noise gain per block, which a few replays give; some units drawn by chance are measured besides, to check
// that. automatic: fast for all, exact for the worst and for whatever may belong to them, until the head of
// the ranking is settled.
enum class Method { exact, fast, automatic };

// What orders the units. kl and mse are measured at the output; the others are baselines to compare with,
// which run no replay: NNCF's mean activation variance, the weight's own squared error, chance.
enum class Criterion { kl, mse, nncf_mean_variance, weight_mse, random };

// Which part of the work this process does: the units whose number (in the model's order) leaves `index` when
// divided by `count`.
struct Shard {
  int index = 0;  // 0 to count - 1
  int count = 1;
};

struct SensitivityProgress {
  std::string stage;      // "unquantized model", "errors in the blocks", "replays to the output"
  double units_done = 0;  // over all formats and directions, parts of a unit as fractions
  double units = 0;
};

struct SensitivityOptions {
  std::filesystem::path model;  // an ONNX file, or a model folder written by export_checkpoint
  std::filesystem::path data;  // a JSONL file of chats, or a folder with one safetensors or npz file a sample
  std::vector<std::string> formats;  // "int8", "int8:64", "int4:32", "int8-dynamic", "int8-static"
  std::string calibrate = "minmax";  // of int8-static: "minmax", "percentile:99.99", "entropy"
  std::filesystem::path report;      // folder for report.*, and for measurements.sqlite
  // By whose error units are ordered; empty: the output called logits, else the first of floating point that
  // depends on a unit. Of a folder: of its text model.
  std::string output;
  std::string units = "*";         // names with * and ?, several with commas, ! before those to leave out
  int samples = 0;                 // the first so many; 0: all
  std::uint64_t memory_bytes = 0;  // the process stays below; 0: what is available
  int threads = 0;                 // 0: one per processor
  // qvl's own attention instead of ONNX Runtime's MatMul, Softmax, MatMul. Faster; numbers differ by what
  // rounding in f32 makes of them (about 1e-4 of a KL), and are kept apart from those without it.
  bool fused_attention = false;
  Method method = Method::automatic;
  bool direction_in = true;             // only this unit quantized
  bool direction_out = false;           // all but this unit quantized
  Criterion criterion = Criterion::kl;  // falls back to mse where the model gives no logits
  Shard shard;
  std::function<void(const SensitivityProgress&)> on_progress;  // may be empty; one call at a time
  const CancelToken* cancel = nullptr;                          // may be null; must outlive the call
  InputOptions input = {};
};

// At the unit's own output, over all samples.
struct LocalError {
  double relative_error = 0;  // norm of the difference / norm of the unquantized output
  double sqnr_db = 0;         // -20 log10 of it
  double cosine = 0;
  // Of the rows that belong to picture tokens and to text tokens, where tokens are known.
  std::optional<double> picture_relative_error;
  std::optional<double> text_relative_error;
};

// At the output that is ranked by. What needs logits (kl and what follows) is there when that is what it
// gives.
struct OutputError {
  double mse = 0;  // mean over samples and all elements
  // Kullback-Leibler divergence of the next token's distribution, unquantized against quantized, in nats, at
  // the positions that predict the answer's tokens and its end token.
  std::optional<double> kl;
  std::optional<double> kl_stderr;  // of the mean
  std::optional<double> kl_median;
  std::optional<double> kl_p99;
  std::optional<double> top1;   // share of those positions with the same most likely token
  std::optional<double> exact;  // share of the samples with an answer that are answered with it
  // The mse of the other floating-point outputs that depend on units, in the model's order; none where the
  // shape has changed.
  std::vector<std::pair<std::string, std::optional<double>>> others;
};

// What the fast method says, kept beside exact numbers to compare.
struct Estimate {
  double mse = 0;
  std::optional<double> kl;
};

struct FormatResult {
  std::string format;
  double weight_mse = 0;  // mean squared error of the weight itself
  std::optional<LocalError> local;
  std::optional<OutputError> in;
  std::optional<OutputError> out;
  std::optional<Estimate> fast_in;
  std::optional<Estimate> fast_out;
  std::string method;           // "exact" when `in` and `out` were measured, "fast" when they were estimated
  std::optional<double> score;  // of a baseline criterion; the larger, the more sensitive
};

struct UnitResult {
  std::string name;        // of the node
  std::string op;          // MatMul, Gemm, Conv
  std::string weight;      // name of the initializer
  std::int64_t depth = 0;  // K, the reduction length
  std::int64_t rows = 0;   // N, the output channels
  std::int64_t parameters = 0;
  std::string part;        // "vision", "text_with_image", … ; the file's name for a single model
  std::int64_t block = 0;  // which block of the part, in the order of computation
  std::string layer;  // for the heat map: the name up to its last number ("/model/layers.3"), or the part
  std::string kind;   // what is left of the name ("self_attn/q_proj")
  // The output that is ranked by does not depend on it: its error there is 0, whatever it does to others.
  bool unseen = false;
  bool in_body = false;  // in a branch of an If that all samples take: measured, but never quantized
  std::vector<FormatResult> formats;
};

// Spearman's rank correlation of fast and exact over the units that have both.
struct Correlation {
  std::string format;
  std::string direction;  // "in", "out"
  std::string measure;    // "kl", "mse"
  double spearman = 0;
  std::int64_t units = 0;
};

// How far the fast estimates of a run can be trusted, by units drawn by chance that were measured exactly.
// Estimates are compared by what the ranking is by.
struct EstimateTrust {
  std::string format;
  std::string direction;                  // "in", "out"
  std::int64_t checked = 0;               // units drawn by chance
  std::optional<double> spearman;         // over these; none where they are too few
  double spearman_error = 0;              // half the width of its interval of one standard error
  std::int64_t measured = 0;              // units measured exactly in all
  std::int64_t top = 0;                   // so many units are the head of the ranking
  std::optional<std::int64_t> top_found;  // of the head, as settled, so many are the estimate's, too
  bool settled = false;  // Method::automatic: no unit that was not measured is likely in the head
};

// The whole model quantized in one format, against the unquantized one.
struct WholeResult {
  std::string format;
  std::optional<OutputError> all;
  // Samples that only the unquantized model answers exactly; none where no sample has an answer.
  std::optional<std::int64_t> answers_lost = std::nullopt;
};

// One point of the curve of error against size: the least error that the sum of the units' errors promises
// for so many bytes.
struct PlanPoint {
  std::uint64_t bytes = 0;  // of the units' weights, with their scales
  double bits = 0;          // the same in bits a weight, on average over all units
  double error = 0;         // sum of the units' `in`: kl, or mse where there are no logits
};

// A plan that was made, on that curve.
struct PlanMark {
  std::string name;                // what was asked for: "bits=5", "bytes=900000", "kl=0.01"
  PlanPoint point;                 // bytes and bits of the plan; error: predicted
  std::optional<double> measured;  // end to end
};

struct PlanFront {
  std::uint64_t unquantized_bytes = 0;  // of the units' weights as the model stores them
  std::vector<PlanPoint> points;        // by falling error and rising bytes
  std::vector<PlanMark> marks;
};

// MatMul, Gemm and Conv with constant weights inside the bodies of If, Loop or Scan: not measured, and never
// quantized.
struct BodyUnits {
  std::string op;                  // "If"; of nested ones the outermost
  std::vector<std::string> names;  // "IF/then_branch/NODE"
  std::int64_t parameters = 0;     // each weight once; those that units outside take, too, are none of them
  double share = 0;                // of all weights of units
};

struct SensitivityReport {
  std::string model;  // file name(s)
  std::string model_sha256;
  std::string data;
  std::string data_sha256;
  std::int64_t samples = 0;
  std::int64_t positions = 0;  // that kl is a mean of
  std::vector<std::pair<std::string, std::string>>
      settings;                         // formats, calibrate, units, method, …, versions
  Criterion criterion = Criterion::kl;  // that the ranking is by
  bool has_logits = false;
  std::string output;                        // that is ranked by
  std::optional<double> exact_unquantized;   // exact answers of the unquantized model
  std::optional<double> output_mean_square;  // of the unquantized model's output, over samples and elements
  std::vector<UnitResult> units;             // in the model's order
  std::vector<BodyUnits> unmeasured;
  std::vector<WholeResult> whole;
  std::vector<Correlation> correlations;
  std::vector<EstimateTrust> trust;  // of methods that estimate
  std::optional<PlanFront> front;    // once `make_plan` has made one
};

// How long a stage of a run took, and whether it grows with the units (else with samples and formats only).
struct SensitivityStage {
  std::string name;
  double seconds = 0;
  bool by_unit = false;
};

// What a run did; not part of the report, whose bytes depend on model, data and settings only.
struct SensitivityRun {
  SensitivityReport report;
  bool complete = true;       // false: of a shard, others have to be merged
  std::int64_t measured = 0;  // numbers measured now
  std::int64_t reused = 0;    // found in the folder's measurements
  std::int64_t passes = 0;    // replays, in runs of the whole model for one sample (fractions rounded up)
  double seconds = 0;
  std::uint64_t peak_bytes = 0;  // resident
  std::vector<SensitivityStage> stages;
};

// Measures, and writes report.json, report.html, report.csv and report.md into options.report. What was
// measured before for the same model, data, unit and format is taken from there. Throws UsageError for
// unknown formats and options, InputError for a model without units, data that does not fit, activations that
// are not finite (sample and unit are named) and measurements of another model, MachineError when
// memory_bytes or the machine's memory do not suffice, Interrupted when cancelled; what was measured until
// then is kept.
[[nodiscard]] QVL_API SensitivityRun measure_sensitivity(const SensitivityOptions& options);

// Puts the measurements of several shards of one run together in `report` and writes the reports there.
// Throws InputError when they are not of one run, or when some are missing.
[[nodiscard]] QVL_API SensitivityRun merge_sensitivity(const std::vector<std::filesystem::path>& shards,
                                                       const std::filesystem::path& report);

}  // namespace qvl
