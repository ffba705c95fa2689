// Candidates at their units: what lies inside a stage is taken from the run that they leave.
#pragma once

#include <cstddef>
#include <vector>

#include "sensitivity/candidate.h"
#include "sensitivity/candidate_runs.h"

namespace qvl {

// One stage, which must be that of the units of all attempts.
class StageRun {
 public:
  // `runs` must outlive it.
  StageRun(CandidateRuns& runs, const Stage& stage)
      : runs_(runs), program_(runs.tools().program), replay_(runs.tools().replay), stage_(stage) {}

  // Runs each from its unit to the end of the stage; what is found goes to the store. Those that are to go to
  // the model's end are moved to the end of `going_on`, where they stand behind the stage. None is left.
  void run(std::vector<Attempt>& attempts, std::vector<Attempt>& going_on);

 private:
  void look(std::vector<Attempt>& attempts);
  void look_at_item(Attempt& attempt, std::size_t item, const Values& inside);
  void compare_inside(Attempt& attempt, const Tail& tail, std::size_t item, const Values& inside,
                      const Values& result);
  void keep_those_that_go_on(Attempt& attempt) const;

  CandidateRuns& runs_;
  const Program& program_;
  Replay& replay_;
  Stage stage_;
};

}  // namespace qvl
