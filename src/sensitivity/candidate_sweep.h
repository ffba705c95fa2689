// A group of samples on its way through the stages, with the candidates that go to the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sensitivity/candidate.h"
#include "sensitivity/candidate_runs.h"

namespace qvl {

// At each stage the candidates of its units leave the sweep's bases. Those that are to go on travel with it,
// or are taken to the end at once where they are many or fill the memory that is theirs.
class CandidateSweep {
 public:
  // All must outlive it.
  CandidateSweep(CandidateRuns& runs, const SampleGroup& group, const WantedOf& want);

  // Measures what is wanted of all candidates of a unit and not in the store, once.
  void run();

 private:
  // The whole model in a format (null: unquantized).
  struct Base {
    const Format* format = nullptr;
    Flight flight;
  };

  [[nodiscard]] bool asks(std::size_t unit, const Format& format, bool out) const;
  void measure_stage();
  void advance();
  void finish();
  void join_flying();
  [[nodiscard]] std::uint64_t bytes() const { return runs_.bytes_of(flying_) + runs_.bytes_of(fresh_); }

  CandidateRuns& runs_;
  const SampleGroup& group_;
  const WantedOf& want_;
  Stage stage_;
  std::vector<Base> bases_;
  std::vector<bool> asked_;      // by unit: whether anything is wanted of it
  std::vector<Attempt> flying_;  // in front of the stage
  std::vector<Attempt> fresh_;   // behind it: their units are in it
};

}  // namespace qvl
