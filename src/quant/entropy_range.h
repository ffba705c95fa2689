// The range of which 256 levels lose the least information about a distribution.
#pragma once

#include "quant/linear_histogram.h"

namespace qvl {

// Returns a magnitude T; values beyond -T and T are to be cut off. Zero when there are no values.
//
// The method is that of TensorRT (S. Migacz, 8-bit Inference with TensorRT, GTC 2017) in the two-sided form
// of ONNX Runtime's calibrator (HistogramCollector.get_entropy_threshold in
// onnxruntime/python/tools/quantization/calibrate.py), for the 256 levels of u8 instead of 128. The differences
// are noted. All of it is computed in f64.
//
// Bins are those of LinearHistogram, w wide; a and b are the numbers of bins of the negative and positive
// side up to the outermost one that is not empty, so that 2048 < max(a, b) <= 4096 of them are in use. For
// each T = i w, where i goes from max(a, b) down in steps of 16 as long as there are 256 bins within -T .. T:
//   p: the counts of the min(a, i) + min(b, i) bins within, those of the bins beyond added to the outermost
//      bin of their side;
//   q: the same bins without those beyond; bin j (from the most negative) is in level floor(256 j / bins); the
//      counts of a level are spread equally over those of its bins where p is not zero. (ONNX Runtime gives
//      each level floor(bins / levels) bins and the last one the rest, and cuts the parts down to integers.)
//   D = sum of P log(P / Q) over the bins where p is not zero, P and Q being p and q divided by their sums.
//      Where q is zero, 0.0001 of a count stands for it. (ONNX Runtime puts that in empty bins of both, and
//      takes it from the others.)
// T is that of the least D, of equal ones the greatest T. max(a, b) leaves nothing out; it is the only one
// when there are fewer than 256 bins.
[[nodiscard]] double entropy_threshold(const LinearHistogram& histogram);

}  // namespace qvl
