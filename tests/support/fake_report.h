// Reports that look like measured ones, to test readers, writers and pages with.
#pragma once

#include "qvl/sensitivity.h"

namespace qvl::test {

// 2 vision and 2 text layers in the formats int8 and int4:32, directions in and out, logits, kinds of token.
SensitivityReport fake_tiny_report();
// The units of a Qwen2.5-VL 3B (32 vision blocks, 36 text layers; 416 units) in three formats, both
// directions.
SensitivityReport fake_3b_report();
// One file with convolutions that gives no logits: MSE only, one direction, no kinds of token.
SensitivityReport fake_plain_report();
// A ResNet of four stages with two blocks each, without logits, in two formats and both directions.
SensitivityReport fake_resnet_report();
// The tiny report with names that try to break out of where they are written.
SensitivityReport fake_hostile_report();

// A curve over the report's units from all in the smallest format to none quantized, where the error is 0, as
// a plan would find it, and so many plans on it: the first ones for bits, the last of several for a KL, every
// fourth not measured.
PlanFront fake_front(const SensitivityReport& report, int plans);

}  // namespace qvl::test
