// How fast a plain writer puts bytes into a folder.
#pragma once

#include <cstdint>
#include <filesystem>

#include "qvl/progress.h"

namespace qvl {

// Bytes per second of the best of several attempts; 0 where the file system cannot do it.
struct DiskSpeed {
  double buffered = 0;  // pwrite, by one thread or by several; the system's cache takes what it takes
  double direct = 0;    // O_DIRECT, by several threads
};

struct DiskSpeedOptions {
  std::filesystem::path folder;
  // Of the file written at each attempt: what the work that is compared with the disk writes, because the
  // cache of the system makes small files faster than large ones.
  std::uint64_t bytes = std::uint64_t{1} << 30U;
  // Attempts go on as long, each at least once; a single one ends after twice as long.
  double seconds = 1;
};

// The files have no name: nothing is left behind, whatever happens. Reserving the space is not timed, nothing
// is synced. Throws InputError where the folder cannot be written, MachineError when the disk is full or
// fails, Interrupted.
[[nodiscard]] DiskSpeed measure_disk_write(const DiskSpeedOptions& options, const CancelToken* cancel);

}  // namespace qvl
