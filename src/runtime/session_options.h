// How a model is loaded and run.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/provider.h"

namespace qvl {

// What ONNX Runtime may rewrite in the graph before it runs: nothing; removals that change no result;
// fusions; fusions and memory layouts of this machine.
enum class GraphOptimization { none, basic, extended, all };

struct SessionOptions {
  Provider provider = Provider::cpu;
  int threads = 0;  // that one operator may use; 0, or more than there are processors: one for each
  int device = 0;   // which GPU
  GraphOptimization optimization = GraphOptimization::all;
  bool memory_arena = true;  // keep freed memory for the next run; off: the least resident memory
  // One arena for all sessions that ask for it, instead of one each that keeps the most that it ever needed.
  bool shared_arena = false;
  bool memory_pattern =
      true;  // plan all of a run's memory in one block; off where shapes change with every run
  bool own_operators = false;  // the model may use those of domain "qvl" (runtime/own_operators.h)
  // Numbers below the least normal one are 0. Where ONNX Runtime's Softmax meets a mask, its exp gives such
  // numbers, which changes nothing but takes most of its time.
  bool denormals_as_zero = false;
  bool deterministic = false;  // only kernels whose result does not depend on timing
  // ONNX Runtime's own keys, e.g. {"session.disable_prepacking", "1"}. It ignores those it does not know.
  std::vector<std::pair<std::string, std::string>> config;
  // Keys of the GPU provider, e.g. {"gpu_mem_limit", "8589934592"}. TF32 is off unless asked for here: it
  // would cost float32 models most of their precision.
  std::vector<std::pair<std::string, std::string>> provider_options;
};

}  // namespace qvl
