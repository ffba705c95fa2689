// What machine this is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace qvl {

struct MachineInfo {
  std::string processor;  // "AMD EPYC"; "" where the system does not say
  std::size_t processors = 0;
  std::string instructions;  // name(best_isa())
  std::uint64_t memory_bytes = 0;
  std::string system;  // "Linux 6.1.0-13-amd64"
};

[[nodiscard]] MachineInfo machine_info();

// That this process may use; at least 1.
[[nodiscard]] std::size_t processor_count() noexcept;

}  // namespace qvl
