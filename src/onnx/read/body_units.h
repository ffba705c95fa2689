// MatMul, Gemm and Conv with constant weights that lie in the bodies of If, Loop and Scan, where they are not
// measured.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace onnx {
class GraphProto;
}

namespace qvl {

struct BodyUnit {
  // "IF/then_branch/NODE", as it is called where the branch is put in place.
  std::string name;
  std::string op;       // MatMul, Gemm, Conv
  std::string control;  // the op of the outermost node: "If", "Loop", "Scan", …
  std::string weight;   // which constant, with the names of the bodies around it in front
  std::int64_t parameters = 0;
};

// In the graph's order, bodies of bodies too.
[[nodiscard]] std::vector<BodyUnit> units_in_bodies(const onnx::GraphProto& graph);

}  // namespace qvl
