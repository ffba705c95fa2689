// What is measured of a model: a unit in a format, and what is wanted of it.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "quant/format.h"
#include "replay/flight.h"
#include "sensitivity/metrics.h"

namespace qvl {

// A unit in a format: the only one that is quantized, or (out) the only one that is not. No unit (nullopt)
// and out: the whole model is quantized.
struct Candidate {
  std::optional<std::size_t> unit;
  const Format* format = nullptr;
  bool out = false;
};

// What is wanted of a candidate on a sample.
struct Wanted {
  bool inside = false;  // errors at the unit and at the end of its block (in only)
  bool to_end = false;  // error of the model's output
};

using WantedOf = std::function<Wanted(const Candidate& candidate, std::size_t sample)>;

// Samples whose states are held at once.
using SampleGroup = std::vector<std::size_t>;

// The units that candidates are of, and the formats. What it names must outlive it.
struct CandidateSpace {
  const std::vector<Format>& formats;
  const std::vector<bool>& selected;  // by unit of all parts

  [[nodiscard]] Assignment assignment_of(const Candidate& candidate) const;
};

// A candidate on its way, with what was found.
struct Attempt {
  Candidate candidate;
  const Flight* base = nullptr;  // that it leaves: all others unquantized, or all quantized
  std::vector<std::size_t> samples;
  std::vector<Wanted> wanted;  // by sample
  Flight flight;               // of all samples; behind the block only of those that go to the end
  std::unordered_map<std::size_t, LocalSums> at_unit;   // by item
  std::unordered_map<std::size_t, LocalSums> at_block;  // by item
  std::unordered_map<std::size_t, OutputSums> at_end;   // by sample
};

// The units in any mix of formats. `key` tells it from all others that are measured with the same store.
struct NamedAssignment {
  std::string key;
  Assignment assignment;
};

}  // namespace qvl
