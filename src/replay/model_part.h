// One ONNX model of those that are measured together.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <unordered_set>
#include <vector>

#include "onnx/read/model_graph.h"
#include "replay/compared_outputs.h"
#include "replay/segment.h"
#include "replay/unit.h"

namespace qvl {

struct ModelPart {
  std::string name;  // "vision"
  ModelGraph graph;
  std::vector<Unit> units;
  ComparedOutputs compared;
  GraphSegments cut;
  std::unordered_set<std::string> in_body;  // units that lie in branches which the samples fix
  std::size_t first_unit = 0;               // number of this part's first unit among those of all parts

  // `changed` as in cut_into_segments, `wanted` as in choose_outputs.
  ModelPart(std::string part_name, ModelGraph model, const std::unordered_set<std::string>& changed,
            const std::string& wanted = "")
      : name(std::move(part_name)),
        graph(std::move(model)),
        units(find_units(graph)),
        compared(choose_outputs(graph, units, changed, wanted)),
        cut(cut_into_segments(graph, units, changed, compared.names())) {}
  // Throws InputError when the file is no model.
  ModelPart(std::string part_name, const std::filesystem::path& file,
            const std::unordered_set<std::string>& changed, const std::string& wanted = "")
      : ModelPart(std::move(part_name), ModelGraph(file), changed, wanted) {}

  // The value that units are ordered by. Throws InputError where no output can be compared.
  [[nodiscard]] const std::string& output() const;
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
