// Do the models run, and do their outputs agree with each other?
#pragma once

#include "verify/check_list.h"
#include "verify/subject.h"

namespace qvl {

// Made pictures and short prompts of made ids through one session after the other:
//   "run.vision"                   two pictures: features finite, not constant, not the same
//   "run.text.padding",            a row alone gives the logits that it gives in batches padded on the right
//   and on the "run.text_with_image.padding"  left; all are finite "run.text_agreement"           both text
//   artifacts give the same logits for text alone "run.pictures"                 text_with_image takes the
//   features of both pictures in one row: logits finite,
//                                  and not the same for different features
// What needs an artifact that is not there, or that failed its checks, is skipped.
void check_runs(Subject& subject, CheckList& checks);

}  // namespace qvl
