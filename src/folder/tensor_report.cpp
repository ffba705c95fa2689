#include "folder/tensor_report.h"

#include "checkpoint/checkpoint.h"

namespace qvl {

std::string canonical_source(const TensorReport& report) { return canonical_tensor_name(report.source); }

std::vector<TensorReport> planned_tensors(const OnnxModel& model, const TensorTable& table,
                                          const SourceLookup& source) {
  std::vector<TensorReport> reports;
  for (const ExternalTensor& tensor : model.external_tensors()) {
    TensorReport report;
    report.name = tensor.name;
    report.source_dtype = report.dtype = tensor.dtype;
    report.shape = tensor.shape;
    report.offset_bytes = tensor.offset_bytes;
    report.size_bytes = tensor.size_bytes;
    if (!tensor.values) {
      const TensorRow& row = table.row(tensor.name);
      SourceTensor from = source(row.stored);
      report.source = std::move(from.name);
      report.source_dtype = from.dtype;
      report.transform = row.transform;
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace qvl
