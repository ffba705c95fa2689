// Ctrl-C during long work.
#pragma once

#include "qvl/progress.h"

namespace qvl::cli {

// From now on SIGINT, SIGTERM and SIGHUP set this token; a second one ends the process at once with exit code
// 130.
const CancelToken& cancel_on_signal();

// From now on SIGINT, SIGTERM and SIGHUP end the process at once with exit code 130: for work that leaves
// nothing behind, parts of which last long.
void exit_on_signal();

}  // namespace qvl::cli
