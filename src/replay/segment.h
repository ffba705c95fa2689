// A graph cut into segments between which little is alive, so that what changes in one of them is replayed
// from there on only.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_set>
#include <vector>

#include "onnx/read/model_graph.h"
#include "replay/unit.h"

namespace qvl {

// What a unit changes inside its segment: its node, and the nodes that depend on it.
struct Tail {
  std::size_t unit = 0;               // index into the graph's units
  std::vector<std::size_t> nodes;     // ascending
  std::vector<std::size_t> units;     // those among the nodes, `unit` too
  std::vector<std::string> operands;  // what the nodes take from outside, but for constants
  std::vector<std::string> outputs;   // those of the segment's outputs that they make
};

struct Segment {
  std::vector<std::size_t> nodes;     // ascending
  std::vector<std::size_t> units;     // indices into the graph's units
  std::vector<std::string> inputs;    // alive before it: made by earlier segments, or by another model
  std::vector<std::string> operands;  // what the nodes take from outside, but for constants
  std::vector<std::string> outputs;   // alive behind it; among them what is compared and made so far
  std::vector<std::string> handed;    // those of the outputs that no later node takes, nor are ranked by
  std::vector<std::string> made;      // those of the outputs that its nodes make; the others pass
  std::vector<std::string> shapes;    // made here, taken by later segments, the same whatever is quantized
  std::vector<Tail> tails;            // one a unit, in the order of `units`
};

struct GraphSegments {
  // What depends on no unit and no changed input, made once a sample by these nodes (ascending) …
  std::vector<std::size_t> static_nodes;
  // … and taken by the segments. Inputs of the graph and what Segment::shapes names are among them, too.
  std::vector<std::string> statics;
  std::vector<Segment> segments;  // at least one
};

// `changed`: inputs of the graph that hold what other quantized models gave; `compared`: outputs that are
// carried to the end, the one that is ranked by first. The graph is cut where the fewest other values are
// alive, so that each segment has one unit or more; what neither a unit nor what is compared depends on is
// left out. Throws InputError when there is no unit.
[[nodiscard]] GraphSegments cut_into_segments(const ModelGraph& graph, const std::vector<Unit>& units,
                                              const std::unordered_set<std::string>& changed,
                                              const std::vector<std::string>& compared);

}  // namespace qvl
