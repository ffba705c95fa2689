#include "sensitivity/assignment_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/parallel.h"
#include "qvl/error.h"

namespace qvl {
namespace {

// The first stage in which the two quantize a unit differently; the last one where they are alike.
Stage leaves_at(const Program& program, const Assignment& base, const Assignment& other) {
  Stage stage;
  for (; !stage.is_last(program); stage = stage.next(program)) {
    const std::size_t first = program.parts[stage.part]->first_unit;
    for (const std::size_t local : stage.of(program).units) {
      if (base.of(first + local) != other.of(first + local)) return stage;
    }
  }
  return stage;
}

}  // namespace

void AssignmentRuns::run(const SampleGroup& group, std::span<const NamedAssignment> assignments) {
  std::map<Stage, std::vector<const NamedAssignment*>> leaving;
  for (const NamedAssignment& named : assignments) {
    if (std::ranges::all_of(group, [&](std::size_t s) { return numbers_.has(named, s); })) {
      numbers_.done_samples(group.size());
    } else {
      leaving[leaves_at(tools_.program, assignments.front().assignment, named.assignment)].push_back(&named);
    }
  }
  Flight base = tools_.replay.start(assignments.front().assignment, group);
  const std::uint64_t each = group.size() * tools_.memory.sample_bytes();
  const auto most = static_cast<std::size_t>(
      std::max<std::uint64_t>(1, plain_.candidate_bytes() / std::max<std::uint64_t>(1, each)));
  for (Stage stage; !leaving.empty(); stage = stage.next(tools_.program)) {
    const auto found = leaving.find(stage);
    if (found != leaving.end()) {
      const std::span<const NamedAssignment* const> all = found->second;
      for (std::size_t i = 0; i < all.size(); i += most)
        finish(stage, group, all.subspan(i, std::min(most, all.size() - i)), base);
      leaving.erase(found);
    }
    if (!leaving.empty()) tools_.replay.advance(stage, std::vector<Flight*>{&base});
  }
}

void AssignmentRuns::finish(const Stage& stage, const SampleGroup& group,
                            std::span<const NamedAssignment* const> leaving, const Flight& base) {
  std::vector<Flight> flights;
  for (const NamedAssignment* named : leaving) {
    flights.push_back(base);  // the values are shared
    flights.back().assignment = named->assignment;
  }
  std::vector<Flight*> pointers;
  for (Flight& flight : flights) pointers.push_back(&flight);
  const Stage rest = tools_.replay.advance_together(stage, pointers);
  plain_.with_outputs(group, [&](std::span<const std::size_t> some) {
    std::vector<OutputSums> sums(some.size() * flights.size());
    parallel_for(sums.size(), tools_.replay.workers(), tools_.cancel, [&](std::size_t i, unsigned) {
      const std::size_t sample = some[i / flights.size()];
      const Outputs outputs = tools_.replay.run_rest(rest, flights[i % flights.size()], sample);
      if (!all_finite(outputs.front().view)) {
        throw InputError(fmt::format("{} with units quantized as planned gives an output that is not finite",
                                     tools_.program.samples[sample].name));
      }
      sums[i] = plain_.outputs().compare(sample, outputs);
    });
    for (std::size_t i = 0; i < sums.size(); ++i)
      numbers_.put(*leaving[i % flights.size()], some[i / flights.size()], sums[i]);
    numbers_.done_samples(sums.size());
  });
  numbers_.flush();
}

}  // namespace qvl
