// Work in numbered pieces, shared by several threads.
#pragma once

#include <cstddef>
#include <functional>

#include "qvl/progress.h"

namespace qvl {

// How many threads do the work where `wanted` are asked for (0: one per processor): 1 to 8, so that what each
// of them holds stays bounded.
[[nodiscard]] unsigned worker_count(int wanted) noexcept;

// Calls work(piece, worker) once for each piece from 0 to pieces - 1, on `workers` threads at most (this one
// is the first of them). Pieces are begun in order; `worker` is below `workers` and tells whose buffers may
// be used. When `cancel` (may be null) is set or a call throws, no further piece is begun; the first
// exception is rethrown here after all threads are done.
void parallel_for(std::size_t pieces, unsigned workers, const CancelToken* cancel,
                  const std::function<void(std::size_t piece, unsigned worker)>& work);

}  // namespace qvl
