// Which outputs of a graph are compared with those of the unquantized model.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "onnx/read/model_graph.h"
#include "replay/unit.h"

namespace qvl {

struct ComparedOutputs {
  std::string metric;               // units are ordered by its error; "": no output can be compared
  std::vector<std::string> others;  // whose error is told, too; in the graph's order
  std::string context;              // tells measurements by other outputs apart; "" where the graph has one

  // The metric's first.
  [[nodiscard]] std::vector<std::string> names() const;
};

// Compared is what is floating-point and depends on the numbers of a unit or of a changed input. The metric's
// is `wanted`, or where that is empty the one called logits, or the first. Throws UsageError, listing the
// outputs, for a wanted one that there is not or that cannot be compared.
[[nodiscard]] ComparedOutputs choose_outputs(const ModelGraph& graph, const std::vector<Unit>& units,
                                             const std::unordered_set<std::string>& changed,
                                             const std::string& wanted);

// Why no output can be compared, for messages: "labels I64, boxes depends on no unit".
[[nodiscard]] std::string describe_outputs(const ModelGraph& graph, const std::vector<Unit>& units);

}  // namespace qvl
