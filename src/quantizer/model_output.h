// One quantized ONNX file in the making.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exporter/quantized_data.h"
#include "folder/tensor_report.h"
#include "onnx/parsed_model.h"
#include "onnx/rewrite/quantized_graph.h"
#include "quantizer/prepared_model.h"

namespace qvl {

class ModelOutput {
 public:
  // `plan_sha256` goes into the file's metadata, so that files of different plans differ. Throws as
  // QuantizedGraph does.
  ModelOutput(ParsedModel model, PreparedModel prepared, const std::string& plan_sha256);

  [[nodiscard]] const PreparedModel& prepared() const noexcept { return prepared_; }
  [[nodiscard]] const QuantizedGraph& graph() const noexcept { return graph_; }
  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  [[nodiscard]] const std::string& data_sha256() const noexcept { return written_.sha256; }

  // Begins the data file of `file` in `folder`. `weights` is made from prepared().weights and must outlive
  // it.
  void open(const std::filesystem::path& folder, const std::string& file, const WeightSource& weights,
            const QuantizedDataOptions& options);
  // Takes over the data of another output that is finished and has the same pieces, as link_or_copy() does.
  void open_twin(const std::filesystem::path& folder, const std::string& file, const ModelOutput& twin,
                 const QuantizedDataOptions& options, bool hard_link);
  // Whether the data files will be the same, where those of the models before are.
  [[nodiscard]] bool is_twin_of(const ModelOutput& other) const;

  // The numbers of unit `index` of prepared().
  void put(std::size_t index, const QuantizedWeights& weights, std::span<const float> plain);
  // The rest of the data, and the graph.
  void finish();

  // What one would not expect of the file: weights that it has twice, tables that are kept.
  [[nodiscard]] std::vector<std::string> notes() const;
  // Of all external tensors of the new graph. `before`: those of the model it came from; empty where nothing
  // is known of them. Before finish() they have no errors.
  [[nodiscard]] std::vector<TensorReport> tensors(const std::vector<TensorReport>& before) const;

 private:
  PreparedModel prepared_;
  QuantizedGraph graph_;
  std::filesystem::path folder_;
  std::string file_;
  std::unique_ptr<QuantizedData> data_;
  WrittenQuantizedData written_;
};

}  // namespace qvl
