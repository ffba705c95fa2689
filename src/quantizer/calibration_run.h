// What a plan needs to know of the activations, from calibration data.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "quant/quant_plan.h"
#include "quant/quantized_weights.h"
#include "quantizer/prepared_model.h"
#include "qvl/quantize.h"

namespace qvl {

class CalibrationRun {
 public:
  // Opens model and data as measure_sensitivity does. Both must outlive it. Throws as that does.
  CalibrationRun(const QuantizeOptions& options, const QuantPlan& plan);
  ~CalibrationRun();
  CalibrationRun(const CalibrationRun&) = delete;
  CalibrationRun& operator=(const CalibrationRun&) = delete;

  // By one run of the unquantized model over the samples (two where ranges of smoothed operands are asked
  // for).
  [[nodiscard]] CalibratedUnits calibrate();

  // gptq, block by block: the units of a block see the inputs that the model gives them when the blocks
  // before it are quantized as planned. One block's weights and Hessians are held at a time. `take` is called
  // once a unit.
  using Take = std::function<void(const std::string& unit, const QuantizedWeights& weights,
                                  std::span<const float> plain)>;
  void gptq(const CalibratedUnits& calibrated, const Take& take);

 private:
  struct State;
  class GptqPass;
  std::unique_ptr<State> state_;
};

}  // namespace qvl
