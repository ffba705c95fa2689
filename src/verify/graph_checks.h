// Are the graphs what the manifest, the contract and the configs say?
#pragma once

#include "verify/check_list.h"
#include "verify/subject.h"

namespace qvl {

// For every artifact (NAME is vision, text or text_with_image):
//   "manifest.NAME"   its list of tensors is the graph's (names, dtypes, shapes, places in the data file);
//                     they lie in the data file, aligned, without overlaps, and what is between them is zero
//   "graph.NAME"      valid ONNX by ONNX's own checker and shape inference; file name, inputs and outputs are
//                     the contract's; nodes and constants are those that qvl builds from config.json
// Sets probe, agrees, rebuilt, the dtypes and runnable of the artifacts.
void check_graphs(Subject& subject, CheckList& checks);

}  // namespace qvl
