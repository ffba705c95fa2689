// Is every number in the data files what it was made from?
#pragma once

#include "verify/check_list.h"
#include "verify/subject.h"

namespace qvl {

// "constants.NAME": what qvl computed (rotary tables, the order of windows) is what it computes from
// config.json now.
void check_constants(const Subject& subject, CheckList& checks);
// "checkpoint": the checkpoint's fingerprint is the manifest's. "weights.NAME": every tensor is the
// checkpoint's after the conversion that the manifest states, bit for bit, and the statistics of the
// conversion are the manifest's. Skipped without a checkpoint. Of a checkpoint with another fingerprint only
// the first difference is looked for.
void check_weights(const Subject& subject, CheckList& checks);

}  // namespace qvl
