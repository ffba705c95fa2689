// What all runs of a program are made with: weights, sessions, memory.
#pragma once

#include <cstdint>

#include "qvl/sensitivity.h"
#include "replay/memory_plan.h"
#include "replay/program.h"
#include "replay/replay.h"
#include "replay/weight_store.h"

namespace qvl {

struct ReplayTools {
  // `opened` and what `options` names must outlive it. One run goes on at a time at first.
  ReplayTools(Program& opened, const SensitivityOptions& options)
      : program(opened),
        cancel(options.cancel),
        memory(options.memory_bytes),
        weights(program.parts, memory.weight_bytes(), options.threads),
        replay(program, weights, &ranges, 1, cancel) {
    replay.fuse_attention(options.fused_attention);
  }
  ReplayTools(const ReplayTools&) = delete;
  ReplayTools& operator=(const ReplayTools&) = delete;

  // For the states of all flights together.
  [[nodiscard]] std::uint64_t state_bytes() const { return memory.state_bytes(replay.workers()); }

  Program& program;
  const CancelToken* cancel;  // may be null
  StaticRanges ranges;
  MemoryPlan memory;
  WeightStore weights;
  Replay replay;
};

}  // namespace qvl
