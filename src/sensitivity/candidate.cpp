#include "sensitivity/candidate.h"

namespace qvl {

Assignment CandidateSpace::assignment_of(const Candidate& candidate) const {
  Assignment assignment(selected.size());
  if (candidate.out) {
    for (std::size_t unit = 0; unit < selected.size(); ++unit) {
      if (selected[unit]) assignment.set(unit, candidate.format);
    }
    if (candidate.unit) assignment.set(*candidate.unit, nullptr);
  } else if (candidate.unit) {
    assignment.set(*candidate.unit, candidate.format);
  }
  return assignment;
}

}  // namespace qvl
