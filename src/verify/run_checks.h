// Do the models run, and do their outputs agree with each other?
#pragma once

#include <span>

#include "verify/check_list.h"
#include "verify/subject.h"

namespace qvl {

// Made pictures and short prompts of made ids through one session after the other.
// "run.vision": two pictures; features are finite, not constant, not the same.
// "run.text.padding", "run.text_with_image.padding": a row alone gives the logits that it gives in batches
// padded on the right and on the left; all are finite.
// "run.text_agreement": both text artifacts give the same logits for text alone.
// "run.pictures": text_with_image takes the features of both pictures in one row; logits are finite, and not
// the same for different features.
// What needs an artifact that is not there, or that failed its checks, is skipped.
void check_runs(Subject& subject, CheckList& checks);

// Logits of one prompt after two different pictures.
[[nodiscard]] Check compare_pictures(std::span<const float> one, std::span<const float> other);

}  // namespace qvl
