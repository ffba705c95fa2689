// What an ONNX file holds, told without loading its weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "onnx/parsed_model.h"
#include "onnx/read/body_units.h"

namespace qvl {

struct ModelSummary {
  struct Port {
    std::string name;
    std::string dtype;               // "F32", …, or ONNX's name for what qvl has no dtype for
    std::vector<std::string> shape;  // numbers, symbols, or "?" for unknown
  };
  struct Initializer {
    std::string name;
    std::string dtype;
    std::vector<std::int64_t> shape;
    std::uint64_t size_bytes = 0;
    std::string used_by;    // op type of the first node that takes it, "" when none does
    std::string data_file;  // of external data; "" when it lies in the ONNX file itself
  };

  std::string producer;
  std::int64_t ir_version = 0;
  std::int64_t opset = 0;  // of the standard domain
  std::map<std::string, std::int64_t> other_opsets;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  std::map<std::string, std::int64_t>
      ops;  // op type (domain::type outside the standard domain) -> nodes, subgraphs included
  std::vector<Initializer> initializers;
  std::vector<BodyUnit> body_units;  // units that lie in bodies of If, Loop and Scan
  std::int64_t parameters = 0;       // elements of floating and quantized initializers of rank 1 or more
  std::uint64_t size_bytes = 0;      // of all initializers
};

// Throws InputError for initializers that cannot have their shape.
[[nodiscard]] ModelSummary summarize_model(ParsedModel model);
// Of files of any size: values of weights are not parsed. Throws InputError when the file is not an ONNX
// model, too. External data files are not opened.
[[nodiscard]] ModelSummary summarize_model(const std::filesystem::path& path);
[[nodiscard]] ModelSummary summarize_model(std::span<const std::byte> bytes, std::string_view source);

}  // namespace qvl
