// Takes flights through the segments, several runs at once.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "qvl/progress.h"
#include "replay/flight.h"
#include "replay/segment_runner.h"
#include "replay/weight_store.h"

namespace qvl {

// The outputs that are compared, that which is ranked by first.
using Outputs = std::vector<HeldTensor>;

class Replay {
 public:
  // All must outlive it. `cancel` may be null.
  Replay(const Program& program, WeightStore& weights, const StaticRanges* ranges, unsigned workers,
         const CancelToken* cancel);

  // The most runs that go on at once from now on.
  void set_workers(unsigned workers) { workers_ = workers; }
  void fuse_attention(bool fused);
  [[nodiscard]] unsigned workers() const noexcept { return workers_; }
  // Runs of segments so far, each counted as the share of the model's segments that it is.
  [[nodiscard]] double passes() const noexcept { return passes_; }

  // The values of an item that no unit changes; made when first asked for.
  [[nodiscard]] const Values& statics(std::size_t part, std::size_t item);
  void forget_statics(std::size_t part, std::size_t item);

  // Whether the weights that these take can all be held at once.
  [[nodiscard]] bool weights_fit(std::span<const Assignment* const> assignments) const {
    return weights_.fits(assignments);
  }

  // A flight in front of the first segment.
  [[nodiscard]] Flight start(Assignment assignment, std::vector<std::size_t> samples) const;

  // Runs the stage for all flights that stand in front of it; behind the last segment of a part they stand in
  // front of the next part. Not for the last stage: run_last().
  void advance(const Stage& stage, std::span<Flight* const> flights);

  // From `stage` on, to where each sample of a flight best goes on by itself with run_rest(): the stage that
  // is returned, in the last part. That is soon where the weights of all these flights fit the store; else
  // all flights go through a segment together, so that its weights are read once, up to the last one.
  [[nodiscard]] Stage advance_together(Stage stage, std::span<Flight* const> flights);
  // From a stage of the last part to the end for one sample of a flight that stands there.
  [[nodiscard]] Outputs run_rest(Stage stage, const Flight& flight, std::size_t sample);

  // What happens inside the stage for one item of a flight, without moving it: visit(item, inside) is called
  // from several threads, once an item; `inside` holds the segment's outputs and every value that its tails
  // take, and stays valid during the call only.
  using Visit = std::function<void(std::size_t item, const Values& inside)>;
  void look_inside(const Stage& stage, const Flight& flight, const std::vector<std::size_t>& items,
                   const Visit& visit);
  // The same with `pieces` calls an item, which may go on at once: visit(item, piece, inside). As many items
  // are held at once as there are workers, so that none of them waits for the last item's calls.
  using VisitPiece = std::function<void(std::size_t item, std::size_t piece, const Values& inside)>;
  void look_inside(const Stage& stage, const Flight& flight, const std::vector<std::size_t>& items,
                   std::size_t pieces, const VisitPiece& visit);

  // run_rest() from the last stage.
  [[nodiscard]] Outputs run_last(const Flight& flight, std::size_t sample);

  // What is compared, from the values behind the last stage; in f32.
  [[nodiscard]] Outputs outputs_of(const Values& behind) const;

  // Keeps its sessions, which are small: weights are none of them.
  [[nodiscard]] SegmentRunner& runner(const Stage& stage);
  void forget_tails(const Stage& stage) { runner(stage).forget_tails(); }

  // Moves a flight whose states are the outputs of a part in front of the next one.
  void join(std::size_t part, Flight& flight) const;

  // A value that a segment gives and that no unit changes.
  void add_static(std::size_t part, std::size_t item, const std::string& name, const HeldTensor& value);
  // One run of a segment or of a part of it.
  void count_pass();

 private:
  void advance(const Stage& stage, std::size_t last, std::span<Flight* const> flights);

  const Program& program_;
  WeightStore& weights_;
  unsigned workers_;
  const CancelToken* cancel_;
  std::vector<std::vector<std::unique_ptr<SegmentRunner>>> runners_;  // by stage
  std::vector<std::vector<std::unique_ptr<Values>>> statics_;         // by part and item
  std::mutex mutex_;
  double segments_ = 0;
  double passes_ = 0;
};

}  // namespace qvl
