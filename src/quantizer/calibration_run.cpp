#include "quantizer/calibration_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "core/parallel.h"
#include "quant/gptq.h"
#include "quant/range_calibrator.h"
#include "quant/scale_search.h"
#include "quantizer/channel_stats.h"
#include "qvl/error.h"
#include "replay/memory_plan.h"
#include "replay/open_program.h"
#include "replay/replay.h"
#include "replay/weight_store.h"

namespace qvl {
namespace {

std::string unobserved(const std::string& unit, const char* what) {
  return fmt::format("no sample of the calibration data gives unit {} a finite number: {}", unit, what);
}

// The operand of a MatMul or Gemm as rows of `depth` numbers; Gemm may have it turned.
std::vector<float> rows_of(const TensorView& operand, const Unit& unit, bool turned) {
  const auto depth = static_cast<std::size_t>(unit.layout.depth);
  std::vector<float> values(operand.bytes.size() / sizeof(float));
  if (values.empty()) return values;
  std::memcpy(values.data(), operand.bytes.data(), operand.bytes.size());
  if (!turned) return values;
  std::vector<float> rows(values.size());
  const std::size_t count = values.size() / depth;
  for (std::size_t k = 0; k < depth; ++k) {
    for (std::size_t r = 0; r < count; ++r) rows[r * depth + k] = values[k * count + r];
  }
  return rows;
}

}  // namespace

struct CalibrationRun::State {
  const QuantizeOptions& options;
  const QuantPlan& plan;
  std::unique_ptr<Program> program;
  MemoryPlan memory;
  WeightStore weights;
  StaticRanges no_ranges;
  Replay replay;
  std::vector<std::size_t> samples;

  State(const QuantizeOptions& o, const QuantPlan& p)
      : options(o),
        plan(p),
        program(open_program(o.model, o.data, o.samples, o.cancel, o.input)),
        memory(o.memory_bytes),
        weights(program->parts, memory.weight_bytes(), o.threads),
        replay(*program, weights, &no_ranges, worker_count(o.threads), o.cancel) {
    for (std::size_t s = 0; s < program->samples.size(); ++s) samples.push_back(s);
  }

  [[nodiscard]] std::optional<PlannedFormat> planned(std::size_t unit) const {
    return plan.of(program->unit(unit).name);
  }
  [[nodiscard]] bool turned(const ModelPart& part, const Unit& unit) const {
    return unit.op == "Gemm" && part.graph.attribute(unit.node, "transA", 0) != 0;
  }
  // Whether its operand has rows of `depth` channels.
  [[nodiscard]] static bool has_rows(const Unit& unit) {
    return unit.op != "Conv" && unit.layout.matrices == 1;
  }

  // Takes a flight through all stages; visit sees the operand of each unit of a stage, from several threads.
  using Visit = std::function<void(std::size_t unit, std::size_t item, const TensorView& operand)>;
  void fly(const Visit& visit, const std::function<void(const Stage&)>& behind_stage);
  void look(const Stage& stage, const Flight& flight, const Visit& visit);
  void add_ranges(const CalibratedUnits& known, std::map<std::size_t, RangeCalibrator>& ranges);
  // `by_item`: a unit's, in the items' order, of those that have rows.
  void smooth(std::size_t unit, const PlannedFormat& format, std::span<const ChannelStats* const> by_item,
              CalibratedUnit& result);
};

void CalibrationRun::State::look(const Stage& stage, const Flight& flight, const Visit& visit) {
  const ModelPart& part = *program->parts[stage.part];
  const Segment& segment = stage.of(*program);
  replay.look_inside(stage, flight, items_of(*program, stage.part, flight.samples),
                     [&](std::size_t item, const Values& inside) {
                       const Values& state = flight.states.at(item);
                       const Values& statics = replay.statics(stage.part, item);
                       for (const std::size_t local : segment.units) {
                         const std::string& input = part.units[local].input;
                         const auto found = inside.find(input);
                         const HeldTensor& value = found != inside.end()   ? found->second
                                                   : state.contains(input) ? state.at(input)
                                                                           : statics.at(input);
                         if (value.view.dtype == DType::f32) visit(part.first_unit + local, item, value.view);
                       }
                       for (const std::string& shape : segment.shapes)
                         replay.add_static(stage.part, item, shape, inside.at(shape));
                     });
}

void CalibrationRun::State::fly(const Visit& visit, const std::function<void(const Stage&)>& behind_stage) {
  Flight flight = replay.start(Assignment(program->unit_count()), samples);
  const std::vector<Flight*> flights{&flight};
  for (Stage stage; !stage.is_end(*program); stage = stage.next(*program)) {
    if (options.cancel != nullptr) options.cancel->throw_if_cancelled();
    look(stage, flight, visit);
    if (behind_stage) behind_stage(stage);
    if (!stage.is_last(*program)) replay.advance(stage, flights);
    replay.forget_tails(stage);
  }
}

void CalibrationRun::State::smooth(std::size_t unit, const PlannedFormat& format,
                                   std::span<const ChannelStats* const> by_item, CalibratedUnit& result) {
  const Unit& info = program->unit(unit);
  const auto weight = weights.get(unit, nullptr);
  // Every other item is for fitting, the others for trying; all of them for what is written.
  ChannelStats all(info.layout.depth);
  ChannelStats fit(info.layout.depth);
  ChannelStats trial(info.layout.depth);
  for (std::size_t i = 0; i < by_item.size(); ++i) {
    all.merge(*by_item[i]);
    if (i % 2 == 0) fit.merge(*by_item[i]);
    if (i % 2 == 1 || by_item.size() == 1) trial.merge(*by_item[i]);
  }
  const bool fixed = format.format.activations == ActivationRounding::static_u8;
  result.alpha = format.smooth == kChooseSmooth
                     ? best_alpha(fit, trial, fixed, info.layout, *weight, options.threads)
                     : format.smooth;
  if (result.alpha > 0)
    result.smoothing = smoothing_factors(all.largest(), info.layout, *weight, result.alpha);
}

// Ranges of operands as they are when they are rounded: smoothed where they are.
void CalibrationRun::State::add_ranges(const CalibratedUnits& known,
                                       std::map<std::size_t, RangeCalibrator>& ranges) {
  std::mutex mutex;
  fly(
      [&](std::size_t unit, std::size_t, const TensorView& operand) {
        const auto found = ranges.find(unit);
        if (found == ranges.end()) return;
        const Unit& info = program->unit(unit);
        std::vector<float> values = rows_of(operand, info, turned(program->part_of(unit), info));
        const auto calibrated = known.find(info.name);
        if (calibrated != known.end() && !calibrated->second.smoothing.empty()) {
          const std::vector<float>& factors = calibrated->second.smoothing;
          for (std::size_t i = 0; i < values.size(); ++i) values[i] *= 1.0F / factors[i % factors.size()];
        }
        const std::lock_guard lock(mutex);
        found->second.observe(values);
      },
      {});
}

CalibrationRun::CalibrationRun(const QuantizeOptions& options, const QuantPlan& plan)
    : state_(std::make_unique<State>(options, plan)) {}
CalibrationRun::~CalibrationRun() = default;

CalibratedUnits CalibrationRun::calibrate() {
  State& s = *state_;
  CalibratedUnits result;
  std::map<std::size_t, PlannedFormat> channels;  // units of which channels are looked at
  std::map<std::size_t, RangeCalibrator> ranges;
  for (std::size_t unit = 0; unit < s.program->unit_count(); ++unit) {
    const auto planned = s.planned(unit);
    if (!planned) continue;
    const Unit& info = s.program->unit(unit);
    if (planned->smooth != 0 && !State::has_rows(info)) {
      throw InputError(
          fmt::format("the plan smooths {}, a {}; that is for MatMul and Gemm with one weight matrix",
                      info.name, info.op));
    }
    const bool wants = planned->smooth != 0 || planned->algorithm == WeightAlgorithm::least_squares;
    if (wants && State::has_rows(info)) channels.emplace(unit, *planned);
    if (planned->format.activations == ActivationRounding::static_u8)
      ranges.emplace(unit, RangeCalibrator(s.plan.calibration));
  }
  if (!channels.empty()) {
    // One of each item, so that the sums do not depend on which comes first.
    std::map<std::pair<std::size_t, std::size_t>, ChannelStats> found;
    std::mutex mutex;
    s.fly(
        [&](std::size_t unit, std::size_t item, const TensorView& operand) {
          if (!channels.contains(unit)) return;
          const Unit& info = s.program->unit(unit);
          ChannelStats stats(info.layout.depth);
          stats.add(rows_of(operand, info, s.turned(s.program->part_of(unit), info)));
          const std::lock_guard lock(mutex);
          found.insert_or_assign({unit, item}, std::move(stats));
        },
        {});
    for (const auto& [unit, planned] : channels) {
      std::vector<const ChannelStats*> by_item;
      for (auto it = found.lower_bound({unit, 0}); it != found.end() && it->first.first == unit; ++it) {
        if (!it->second.empty()) by_item.push_back(&it->second);
      }
      CalibratedUnit& calibrated = result[s.program->unit(unit).name];
      if (planned.smooth != 0) s.smooth(unit, planned, by_item, calibrated);
      if (planned.algorithm != WeightAlgorithm::least_squares) continue;
      ChannelStats all(s.program->unit(unit).layout.depth);
      for (const ChannelStats* stats : by_item) all.merge(*stats);
      calibrated.importance = all.mean_squares();
    }
  }
  if (!ranges.empty()) s.add_ranges(result, ranges);
  for (const auto& [unit, calibrator] : ranges) {
    const std::string& name = s.program->unit(unit).name;
    if (calibrator.count() == 0) throw InputError(unobserved(name, "int8-static has no range for it"));
    result[name].range = AffineU8::of_range(calibrator.range());
  }
  return result;
}

// Quantizes the units of one stage after the other.
class CalibrationRun::GptqPass {
 public:
  GptqPass(State& state, const CalibratedUnits& calibrated, const Take& take)
      : s_(state), calibrated_(calibrated), take_(take) {}

  void run() {
    s_.fly(
        [this](std::size_t unit, std::size_t item, const TensorView& operand) { see(unit, item, operand); },
        [this](const Stage& stage) { quantize_stage(stage); });
  }

 private:
  // From several threads: keeps the rows of an operand once, whoever takes it.
  void see(std::size_t unit, std::size_t item, const TensorView& operand) {
    const auto planned = s_.planned(unit);
    if (!planned || planned->algorithm != WeightAlgorithm::gptq) return;
    const Unit& info = s_.program->unit(unit);
    if (!State::has_rows(info)) {
      throw InputError(
          fmt::format("the plan wants gptq for {}, a {}; that is for MatMul and Gemm with one weight matrix",
                      info.name, info.op));
    }
    {
      const std::lock_guard lock(mutex_);
      if (rows_by_operand_[info.input].contains(item)) return;
    }
    std::vector<float> rows = rows_of(operand, info, s_.turned(s_.program->part_of(unit), info));
    const std::lock_guard lock(mutex_);
    rows_by_operand_[info.input].emplace(item, std::move(rows));
  }

  void quantize_stage(const Stage& stage) {
    const ModelPart& part = *s_.program->parts[stage.part];
    for (const std::size_t local : stage.of(*s_.program).units) {
      if (const auto planned = s_.planned(part.first_unit + local))
        quantize(part.first_unit + local, *planned);
    }
    hessians_.clear();
    rows_by_operand_.clear();
  }

  [[nodiscard]] Hessian hessian_of(const Unit& unit, const std::vector<float>& smoothing) const {
    Hessian hessian(unit.layout.depth);
    for (const auto& [item, rows] : rows_by_operand_.at(unit.input)) {
      std::vector<float> smoothed;
      if (!smoothing.empty()) {
        smoothed = rows;
        for (std::size_t i = 0; i < smoothed.size(); ++i)
          smoothed[i] *= 1.0F / smoothing[i % smoothing.size()];
      }
      hessian.add(smoothing.empty() ? rows : smoothed, best_isa(), s_.options.threads);
    }
    return hessian;
  }

  [[nodiscard]] QuantizedWeights made(const Unit& unit, const PlannedFormat& planned,
                                      const CalibratedUnit& calibrated, std::span<const float> plain) {
    const int threads = s_.options.threads;
    if (planned.algorithm == WeightAlgorithm::nearest)
      return quantize_weights(unit.layout, planned.format, plain, best_isa(), threads);
    if (planned.algorithm == WeightAlgorithm::least_squares) {
      return quantize_least_squares(unit.layout, planned.format, plain, calibrated.importance, best_isa(),
                                    threads);
    }
    const std::string key = calibrated.smoothing.empty() ? unit.input : unit.name;  // q, k and v share theirs
    if (!hessians_.contains(key)) hessians_.emplace(key, hessian_of(unit, calibrated.smoothing));
    const Hessian& hessian = hessians_.at(key);
    if (hessian.rows_seen() == 0) throw InputError(unobserved(unit.name, "gptq cannot weigh its errors"));
    return quantize_gptq(unit.layout, planned.format, plain, hessian, {}, best_isa(), threads);
  }

  // What comes behind sees the weight that was made.
  void quantize(std::size_t unit, const PlannedFormat& planned) {
    const Unit& info = s_.program->unit(unit);
    const auto known = calibrated_.find(info.name);
    const CalibratedUnit calibrated = known == calibrated_.end() ? CalibratedUnit{} : known->second;
    const std::vector<float>& smoothing = calibrated.smoothing;
    const auto factor = [&](std::size_t i) { return smoothing[info.layout.channel(i)]; };
    std::vector<float> plain = *s_.weights.get(unit, nullptr);
    for (std::size_t i = 0; !smoothing.empty() && i < plain.size(); ++i) plain[i] *= factor(i);
    const QuantizedWeights weights = made(info, planned, calibrated, plain);
    if (planned.algorithm == WeightAlgorithm::gptq) take_(info.name, weights, plain);
    std::vector<float> values(plain.size());
    weights.dequantize(values);
    for (std::size_t i = 0; !smoothing.empty() && i < values.size(); ++i) values[i] /= factor(i);
    s_.weights.replace(unit, std::move(values));
  }

  State& s_;
  const CalibratedUnits& calibrated_;
  const Take& take_;
  std::mutex mutex_;
  // Of one stage: rows by operand and item, in order, and what is made of them.
  std::map<std::string, std::map<std::size_t, std::vector<float>>> rows_by_operand_;
  std::map<std::string, Hessian> hessians_;
};

void CalibrationRun::gptq(const CalibratedUnits& calibrated, const Take& take) {
  GptqPass(*state_, calibrated, take).run();
}

}  // namespace qvl
