#include "qvl/error.h"

#include "qvl/progress.h"

namespace qvl {

Error::~Error() = default;
UsageError::~UsageError() = default;
InputError::~InputError() = default;
MachineError::~MachineError() = default;
Interrupted::~Interrupted() = default;

Progress::~Progress() = default;

void CancelToken::throw_if_cancelled() const {
  if (cancelled()) throw Interrupted("interrupted");
}

}  // namespace qvl
