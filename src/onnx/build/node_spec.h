// A node of any operator, as GraphBuilder takes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/dtype.h"
#include "core/tensor.h"
#include "onnx/build/dim.h"

namespace qvl {

// A tensor of the graph: the result of a node, an input, or an initializer. Without a name: an operand or a
// result that is left out.
struct Value {
  std::string name;
  DType dtype = DType::f32;
  SymbolicShape shape;
};

// Of every kind that operators have but graphs.
struct Attribute {
  std::string name;
  std::variant<std::int64_t, float, std::string, Tensor, std::vector<std::int64_t>, std::vector<float>,
               std::vector<std::string>>
      value;
};

struct NodeSpec {
  struct Result {
    DType dtype = DType::f32;
    SymbolicShape shape;
  };

  std::string op;
  std::string domain = {};  // "": the standard's; "com.microsoft", …
  std::vector<Value> operands = {};
  std::vector<std::optional<Result>> results = {};  // nothing: left out
  std::vector<Attribute> attributes = {};
  std::int64_t version = 1;  // of the domain's operators; of the standard's they are GraphBuilder::kOpset's
};

}  // namespace qvl
