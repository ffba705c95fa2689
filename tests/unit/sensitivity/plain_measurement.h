// A sensitivity run the slow way, by formulas of its own: for each candidate a whole ONNX model is written,
// with rounded weights and with operators that round activations, and run on every sample from its inputs.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "qvl/sensitivity.h"
#include "support/model_run.h"

namespace qvl::test {

// Weight values in a format, as they are written ("int4:16"); `op` and `turned` (Gemm's transB) tell which of
// them share an output channel.
std::vector<float> plainly_quantized(const std::vector<float>& weight, const Shape& shape,
                                     const std::string& op, bool turned, const std::string& format);

class PlainMeasurement {
 public:
  struct Sample {
    Tensors inputs;
    std::vector<std::size_t> rows;  // of the logits, that count; empty: none are logits
  };
  // Units are nodes of these names whose weight is an initializer in f32.
  PlainMeasurement(onnx::ModelProto model, std::filesystem::path place, std::vector<std::string> units,
                   std::vector<Sample> samples);

  // "minmax" or "percentile:99": how the ranges of int8-static are chosen.
  void calibrate(const std::string& rule);

  using Assignment = std::map<std::string, std::string>;  // unit -> format
  [[nodiscard]] OutputError output_error(const Assignment& assignment) const;
  // The first output, by sample.
  [[nodiscard]] std::vector<Tensors> outputs(const Assignment& assignment) const {
    return run(assignment, {});
  }
  // At the unit's output, only this unit being quantized.
  [[nodiscard]] LocalError local_error(const std::string& unit, const std::string& format) const;
  [[nodiscard]] double weight_mse(const std::string& unit, const std::string& format) const;
  // Output channels that do not share scales, and weights of each.
  [[nodiscard]] std::pair<std::int64_t, std::int64_t> rows_and_depth(const std::string& unit) const;

 private:
  struct Range {
    float scale = 1;
    std::uint8_t zero_point = 0;
  };
  [[nodiscard]] const onnx::NodeProto& node(const std::string& unit) const;
  [[nodiscard]] const onnx::TensorProto& weight(const std::string& unit) const;
  [[nodiscard]] std::vector<float> quantized(const std::string& unit, const std::string& format) const;
  // Runs the model on all samples, with ONNX Runtime's optimizations, as it is used: errors of 1e-7 depend on
  // the order of the arithmetic. `more` are values to give out beside the first output.
  [[nodiscard]] std::vector<Tensors> run(const Assignment& assignment,
                                         const std::vector<std::string>& more) const;

  onnx::ModelProto model_;
  std::filesystem::path place_;
  std::vector<std::string> units_;
  std::vector<Sample> samples_;
  std::string output_;
  std::map<std::string, Range> ranges_;
  std::vector<Tensors> plain_;         // the first output
  std::vector<Tensors> plain_inside_;  // and those of the units
};

}  // namespace qvl::test
