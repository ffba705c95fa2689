// The folder's models against the goldens, stage by stage.
#pragma once

#include <string>

#include "verify/check_list.h"
#include "verify/goldens.h"
#include "verify/subject.h"

namespace qvl {

// "goldens": they are of this checkpoint and of the folder's picture size. Then "golden.CASE.STAGE" for every
// stage that a case has, in the order of computation: resize, pixel_values, token_ids, position_ids,
// vision.patch_embed, vision.blocks.i, vision_features, text.embeddings, text.layers.i, logits, greedy. Each
// stage goes on from what the folder's own earlier stages gave (from the goldens where those are missing),
// but for the ids of the prompt, which are the goldens'. What lies inside a model is given out by a copy of
// its graph; vision_features, logits and the greedy answer come from the artifact itself. Returns the first
// stage that diverges; empty: none does.
[[nodiscard]] std::string check_stages(Subject& subject, const Goldens& goldens, CheckList& checks);

}  // namespace qvl
