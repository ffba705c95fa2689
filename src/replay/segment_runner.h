// Runs one segment of a part, whole or from a unit on, with its units quantized in any way.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "quant/activation.h"
#include "qvl/progress.h"
#include "replay/model_part.h"
#include "replay/values.h"
#include "replay/weight_store.h"
#include "runtime/session.h"

namespace qvl {

// Ranges of the units' inputs, for formats whose activations are rounded by calibration. By unit of all
// parts.
using StaticRanges = std::vector<AffineU8>;

// Weights are inputs of its sessions, so that one session serves every format that treats activations alike.
// A session uses one thread; several runs may go on at once. Throws as Session does.
class SegmentRunner {
 public:
  // All must outlive it. `cancel` may be null, `ranges` too where no format needs them.
  SegmentRunner(const ModelPart& part, std::size_t segment, WeightStore& weights, const StaticRanges* ranges,
                const CancelToken* cancel);

  // qvl's own attention in sessions made from now on.
  void fuse_attention(bool fused) { fused_attention_ = fused; }
  [[nodiscard]] const Segment& segment() const noexcept { return segment_; }

  // The segment's outputs; with `more` also its shapes and what `more` names of the values inside it.
  [[nodiscard]] Values run(const Values& state, const Values& statics, const Assignment& assignment,
                           const std::vector<std::string>& more = {});

  // From a unit on: `inside` holds the tail's operands that are neither in `state` nor in `statics`, and the
  // outputs of the segment that the tail does not make. The segment's outputs, and the unit's own if wanted.
  [[nodiscard]] Values run_tail(const Tail& tail, const Values& state, const Values& statics,
                                const Values& inside, const Assignment& assignment, bool unit_output);

  // The unit's own output only.
  [[nodiscard]] Values run_unit(const Tail& tail, const Values& state, const Values& statics,
                                const Values& inside, const Assignment& assignment);

  // Drops the sessions of all runs but run() without `more`.
  void forget_tails();

  // What a run has to give out so that all tails can be run.
  [[nodiscard]] std::vector<std::string> inside_values() const;

 private:
  struct Work {
    std::vector<std::size_t> nodes;
    std::vector<std::size_t> units;
    std::vector<std::string> operands;
    std::vector<std::string> outputs;
  };
  [[nodiscard]] Values execute(const std::string& name, const Work& work, const Values& state,
                               const Values& statics, const Values& inside, const Assignment& assignment);
  [[nodiscard]] const Session& session(const std::string& key, const Work& work,
                                       const std::vector<NamedTensor>& operands,
                                       const Assignment& assignment);
  [[nodiscard]] const Format* format_of(std::size_t unit, const Assignment& assignment) const {
    return assignment.of(part_.first_unit + unit);
  }

  const ModelPart& part_;
  const Segment& segment_;
  WeightStore& weights_;
  const StaticRanges* ranges_;
  const CancelToken* cancel_;
  bool fused_attention_ = false;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<Session>> sessions_;
};

// What no unit changes, once a sample: GraphSegments::statics from the inputs of the graph, but for the
// shapes that segments give. `inputs` stay in the result.
[[nodiscard]] Values run_statics(const ModelPart& part, const Values& inputs, const CancelToken* cancel);

}  // namespace qvl
