// One ONNX model of those that are measured together.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <unordered_set>
#include <vector>

#include "onnx/model_graph.h"
#include "sensitivity/segment.h"
#include "sensitivity/unit.h"

namespace qvl {

struct ModelPart {
  std::string name;  // "vision"
  ModelGraph graph;
  std::vector<Unit> units;
  GraphSegments cut;
  std::size_t first_unit = 0;  // number of this part's first unit among those of all parts

  // Throws InputError when the file is no model; `changed` as in cut_into_segments.
  ModelPart(std::string part_name, const std::filesystem::path& file,
            const std::unordered_set<std::string>& changed)
      : name(std::move(part_name)),
        graph(file),
        units(find_units(graph)),
        cut(cut_into_segments(graph, units, changed)) {}

  // The value that is compared.
  [[nodiscard]] const std::string& output() const { return graph.outputs().front().name; }
};

// In which format each unit of all parts is quantized; null: not at all.
class Assignment {
 public:
  explicit Assignment(std::size_t units) : formats_(units, nullptr) {}
  [[nodiscard]] const struct Format* of(std::size_t unit) const { return formats_[unit]; }
  void set(std::size_t unit, const struct Format* format) { formats_[unit] = format; }

 private:
  std::vector<const struct Format*> formats_;
};

}  // namespace qvl
