// Quantized ONNX files from a model and a plan.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "qvl/error.h"
#include "qvl/export.h"
#include "qvl/input.h"
#include "qvl/progress.h"
#include "qvl/sensitivity.h"

namespace qvl {

// As a smoothing strength: for each unit the best of a few, by calibration data.
inline constexpr double kSmoothAuto = -1;

struct QuantizeOptions {
  std::filesystem::path model;  // a model folder, or any ONNX file
  std::filesystem::path plan;   // plan.json; or
  std::string format;           // one format for all units ("int4:32")
  std::string units =
      "*";  // with `format`: names with * and ?, several with commas, ! before those to leave out
  std::string algorithm = "nearest";  // with `format`: "nearest", "least-squares", "gptq"
  std::string embedding;              // with `format`: of the token embeddings ("int8:32"); empty: kept
  int accuracy_level = 0;             // with `format`: of MatMulNBits
  double smooth = 0;                  // with `format`: SmoothQuant's alpha, or kSmoothAuto
  std::string calibrate = "minmax";   // with `format`: of int8-static
  // Calibration data, as in SensitivityOptions; for gptq, int8-static and smoothing.
  std::filesystem::path data;
  int samples = 0;                      // the first so many; 0: all
  std::filesystem::path out;            // folder to write
  bool hard_link = false;               // as in ExportOptions
  bool force = false;                   // replace what is there
  std::uint64_t memory_bytes = 0;       // of gptq and calibration, as in SensitivityOptions
  int threads = 0;                      // 0: one per processor
  Progress* progress = nullptr;         // may be null; must outlive the call
  const CancelToken* cancel = nullptr;  // may be null; must outlive the call
  InputOptions input = {};              // of the calibration data
};

// Weights that are of no unit and stay as they are: those of LSTM, of a MatMul with the constant on the left,
// of tables, …
struct KeptWeights {
  std::string what;                // "LSTM"
  std::vector<std::string> nodes;  // their names
  std::uint64_t bytes = 0;
};

struct QuantizedFile {
  std::string file;
  std::uint64_t bytes_before = 0;  // of weights and graph
  std::uint64_t bytes_after = 0;
  int units = 0;                     // of the model
  int quantized = 0;                 // of these
  std::vector<BodyUnits> in_bodies;  // none of these: left as they are
  // About what a runtime holds of weights that it unpacks to f32 when it loads the file.
  std::uint64_t unpacked_bytes = 0;
  std::uint64_t weight_bytes = 0;  // of all weights of the model; of biases and other vectors, too
  std::vector<KeptWeights> kept;   // the largest first
  std::vector<std::string> notes;  // what one would not expect of the file, a sentence each
};

struct QuantizeResult {
  std::vector<QuantizedFile> files;
};

// Writes a quantized twin of the model. A folder stays one that the engine runs. Everything appears at the
// end or not at all. Weights are streamed: without calibration at most 512 MiB are resident whatever the
// model's size. Throws UsageError for options that do not go together, InputError for a plan of another
// model, one that names no unit of it, and data that does not fit, MachineError where disk or memory do not
// suffice, Interrupted when cancelled.
[[nodiscard]] QVL_API QuantizeResult quantize_model(const QuantizeOptions& options);

// Both steps at once, from a checkpoint: the files that export_checkpoint and quantize_model would give. Only
// plans that need no data. Throws as export_checkpoint does, too, for machines where these files do not fit.
[[nodiscard]] QVL_API QuantizeResult export_quantized(const ExportOptions& options,
                                                      const std::filesystem::path& plan);

}  // namespace qvl
