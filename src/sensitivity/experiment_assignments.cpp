// Whole assignments, each replayed from where it leaves the first of them.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/parallel.h"
#include "qvl/error.h"
#include "sensitivity/experiment.h"

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

MeasurementKey Experiment::assignment_key(const NamedAssignment& named, std::size_t sample) const {
  MeasurementKey key = keys_.of_plain(program_.samples[sample].sha256, "assignment");
  key.context = named.key + (key.context.empty() ? "" : "; " + key.context);
  return key;
}

bool Experiment::has(const NamedAssignment& named) const {
  for (std::size_t s = 0; s < program_.samples.size(); ++s) {
    if (!store_.has(assignment_key(named, s))) return false;
  }
  return true;
}

std::vector<OutputError> Experiment::measure_assignments(std::span<const NamedAssignment> assignments,
                                                         const std::string& stage) {
  const auto is_missing = [&](std::size_t sample) {
    return std::ranges::any_of(
        assignments, [&](const NamedAssignment& a) { return !store_.has(assignment_key(a, sample)); });
  };
  std::vector<bool> needed;
  for (std::size_t s = 0; s < program_.samples.size(); ++s) needed.push_back(is_missing(s));
  if (std::ranges::find(needed, true) != needed.end()) {
    progress_ = {stage, 0, static_cast<double>(assignments.size())};
    report(0);
    for (const Group& group : groups()) {
      if (std::ranges::none_of(group, [&](std::size_t s) { return needed[s]; })) {
        report(static_cast<double>(group.size() * assignments.size()) /
               static_cast<double>(program_.samples.size()));
        continue;
      }
      if (!reference_ || reference_->samples != group) prepare(group, {});
      measure_group(group, assignments);
    }
    report_end();
  }
  std::vector<OutputError> errors;
  for (const NamedAssignment& named : assignments) {
    std::vector<OutputSums> sums;
    for (std::size_t s = 0; s < program_.samples.size(); ++s)
      sums.push_back(OutputSums::of(store_.find(assignment_key(named, s)).value()));
    errors.push_back(output_error(sums, program_.parts.back()->compared.others));
  }
  return errors;
}

// The first assignment goes through the stages; the others go to the end from where they leave it, as many at
// once as memory allows.
void Experiment::measure_group(const Group& group, std::span<const NamedAssignment> assignments) {
  std::map<Stage, std::vector<const NamedAssignment*>> leaving;
  for (const NamedAssignment& named : assignments) {
    const bool there =
        std::ranges::all_of(group, [&](std::size_t s) { return store_.has(assignment_key(named, s)); });
    if (there) {
      report(static_cast<double>(group.size()) / static_cast<double>(program_.samples.size()));
    } else {
      leaving[leaves_at(program_, assignments.front().assignment, named.assignment)].push_back(&named);
    }
  }
  Flight base = replay_.start(assignments.front().assignment, group);
  const std::uint64_t each = group.size() * memory_.sample_bytes();
  const auto most = static_cast<std::size_t>(
      std::max<std::uint64_t>(1, candidate_bytes() / std::max<std::uint64_t>(1, each)));
  for (Stage stage; !leaving.empty(); stage = stage.next(program_)) {
    const auto found = leaving.find(stage);
    if (found != leaving.end()) {
      for (std::size_t i = 0; i < found->second.size(); i += most) {
        const std::size_t end = std::min(i + most, found->second.size());
        finish(stage, group,
               {found->second.begin() + static_cast<std::ptrdiff_t>(i),
                found->second.begin() + static_cast<std::ptrdiff_t>(end)},
               base);
      }
      leaving.erase(found);
    }
    if (!leaving.empty()) replay_.advance(stage, std::vector<Flight*>{&base});
  }
}

void Experiment::finish(const Stage& stage, const Group& group,
                        const std::vector<const NamedAssignment*>& leaving, const Flight& base) {
  std::vector<Flight> flights;
  for (const NamedAssignment* named : leaving) {
    flights.push_back(base);  // the values are shared
    flights.back().assignment = named->assignment;
  }
  std::vector<Flight*> pointers;
  for (Flight& flight : flights) pointers.push_back(&flight);
  const Stage rest = replay_.advance_together(stage, pointers);
  with_outputs(group, [&](std::span<const std::size_t> some) {
    std::vector<OutputSums> sums(some.size() * flights.size());
    parallel_for(sums.size(), replay_.workers(), options_.cancel, [&](std::size_t i, unsigned) {
      const std::size_t sample = some[i / flights.size()];
      const Outputs outputs = replay_.run_rest(rest, flights[i % flights.size()], sample);
      if (!all_finite(outputs.front().view)) {
        throw InputError(fmt::format("{} with units quantized as planned gives an output that is not finite",
                                     program_.samples[sample].name));
      }
      sums[i] = sums_of(sample, outputs_.at(sample), outputs);
    });
    for (std::size_t i = 0; i < sums.size(); ++i) {
      store_.put(assignment_key(*leaving[i % flights.size()], some[i / flights.size()]), sums[i].numbers());
      ++measured_;
    }
    report(static_cast<double>(sums.size()) / static_cast<double>(program_.samples.size()));
  });
  store_.flush();
}

}  // namespace qvl
