// qvl: Qwen2.5-VL checkpoints to ONNX models, and answers from them. This header includes the whole public
// API.
#pragma once

#include "qvl/engine.h"
#include "qvl/error.h"
#include "qvl/evaluate.h"
#include "qvl/export.h"
#include "qvl/input.h"
#include "qvl/plan.h"
#include "qvl/progress.h"
#include "qvl/quantize.h"
#include "qvl/sensitivity.h"
#include "qvl/verify.h"
#include "qvl/version.h"
