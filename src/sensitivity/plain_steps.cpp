#include "sensitivity/plain_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "qvl/error.h"
#include "sensitivity/metrics.h"

namespace qvl {

void PlainSteps::look(const Stage& stage, const Flight& base, const ObserveInput& observe, Flight* next) {
  const ModelPart& part = *program_.parts[stage.part];
  const Segment& segment = stage.of(program_);
  const bool is_vision = stage.part + 1 < program_.parts.size();
  const auto sample_of = [&](std::size_t item) {
    if (!is_vision) return item;
    for (const std::size_t sample : base.samples) {
      const auto& pictures = program_.samples[sample].pictures;
      if (std::ranges::find(pictures, item) != pictures.end()) return sample;
    }
    return base.samples.front();
  };
  std::mutex mutex;
  replay_.look_inside(
      stage, base, items_of(program_, stage.part, base.samples), [&](std::size_t item, const Values& inside) {
        const std::size_t sample = sample_of(item);
        for (const std::size_t unit : segment.units) {
          const Unit& info = part.units[unit];
          const TensorView& output = inside.at(info.output).view;
          if (output.dtype == DType::f32 && !all_finite(output)) {
            throw InputError(fmt::format("{}: the unquantized output of unit {} is not finite",
                                         program_.samples[sample].name, info.name));
          }
        }
        const Values& statics = replay_.statics(stage.part, item);
        const std::lock_guard lock(mutex);
        most_inside_bytes_ = std::max(most_inside_bytes_, total_bytes(inside));
        for (const std::size_t unit : segment.units) {
          if (!observe) break;
          const std::string& input = part.units[unit].input;
          const auto found = inside.find(input);
          const Values& state = base.states.at(item);
          const auto& value = found != inside.end()   ? found->second
                              : state.contains(input) ? state.at(input)
                                                      : statics.at(input);
          observe(part.first_unit + unit, sample, value.view);
        }
        for (const std::string& shape : segment.shapes)
          replay_.add_static(stage.part, item, shape, inside.at(shape));
        if (next == nullptr) return;
        Values& state = next->states.at(item);
        state.clear();
        for (const std::string& output : segment.outputs) state.emplace(output, inside.at(output));
      });
}

void PlainSteps::advance(const Stage& stage, Flight& base) {
  const Flight before = base;
  replay_.advance(stage, std::vector<Flight*>{&base});
  for (const auto& [item, state] : base.states) {
    for (const auto& [name, value] : state) {
      if (value.view.dtype != DType::f32 || all_finite(value.view)) continue;
      const auto& others = program_.parts.back()->compared.others;
      if (std::ranges::find(others, name) != others.end()) continue;  // as the model means it
      look(stage, before, {});
      throw InputError(fmt::format("the unquantized value {} is not finite in {}", name,
                                   program_.samples[before.samples.front()].name));
    }
  }
}

void PlainSteps::to_last(Flight& flight) {
  for (Stage stage; !stage.is_last(program_); stage = stage.next(program_)) {
    if (!stage.of(program_).shapes.empty()) look(stage, flight, {});
    replay_.advance(stage, std::vector<Flight*>{&flight});
  }
}

}  // namespace qvl
