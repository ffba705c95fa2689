// The model's own answers to samples that have none.
#pragma once

#include <span>

#include "replay/program.h"
#include "replay/replay.h"
#include "sensitivity/measured_numbers.h"
#include "sensitivity/plain_steps.h"

namespace qvl {

// Makes the unquantized model's greedy answers part of these samples: known ones from the store, others token
// by token, each a whole run, and put there. Nothing without logits, or where Program::extend is null.
void add_own_answers(Program& program, std::span<const std::size_t> samples, Replay& replay,
                     PlainSteps& steps, MeasuredNumbers& numbers);

}  // namespace qvl
