#include "replay/replay.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "core/parallel.h"
#include "qvl/error.h"

namespace qvl {
namespace {

HeldTensor narrowed(const HeldTensor& wide) {
  Tensor tensor(DType::f32, wide.view.shape);
  const std::span<float> values = tensor.as<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    double value = 0;
    std::memcpy(&value, wide.view.bytes.data() + i * sizeof(double), sizeof(double));
    values[i] = static_cast<float>(value);
  }
  return HeldTensor::of(std::move(tensor));
}

}  // namespace

std::vector<std::size_t> items_of(const Program& program, std::size_t part,
                                  std::span<const std::size_t> samples) {
  if (part + 1 == program.parts.size()) return {samples.begin(), samples.end()};
  std::set<std::size_t> items;
  for (const std::size_t sample : samples) {
    const auto& pictures = program.samples[sample].pictures;
    items.insert(pictures.begin(), pictures.end());
  }
  return {items.begin(), items.end()};
}

Replay::Replay(const Program& program, WeightStore& weights, const StaticRanges* ranges, unsigned workers,
               const CancelToken* cancel)
    : program_(program), weights_(weights), workers_(workers), cancel_(cancel) {
  for (std::size_t p = 0; p < program.parts.size(); ++p) {
    statics_.emplace_back(program.items[p].size());
    runners_.emplace_back();
    for (std::size_t segment = 0; segment < program.parts[p]->cut.segments.size(); ++segment) {
      runners_.back().push_back(
          std::make_unique<SegmentRunner>(*program.parts[p], segment, weights, ranges, cancel));
    }
    segments_ += static_cast<double>(program.parts[p]->cut.segments.size());
  }
}

void Replay::fuse_attention(bool fused) {
  for (auto& part : runners_) {
    for (auto& runner : part) runner->fuse_attention(fused);
  }
}

const Values& Replay::statics(std::size_t part, std::size_t item) {
  std::unique_ptr<Values>* place = nullptr;
  {
    const std::lock_guard lock(mutex_);
    place = &statics_[part][item];
    if (*place) return **place;
  }
  auto made = std::make_unique<Values>(
      run_statics(*program_.parts[part], program_.items[part][item].inputs, cancel_));
  const std::lock_guard lock(mutex_);
  if (!*place) *place = std::move(made);
  return **place;
}

void Replay::forget_statics(std::size_t part, std::size_t item) { statics_[part][item].reset(); }

void Replay::add_static(std::size_t part, std::size_t item, const std::string& name,
                        const HeldTensor& value) {
  (void)statics(part, item);
  const std::lock_guard lock(mutex_);
  statics_[part][item]->insert_or_assign(name, value);
}

SegmentRunner& Replay::runner(const Stage& stage) { return *runners_[stage.part][stage.segment]; }

Flight Replay::start(Assignment assignment, std::vector<std::size_t> samples) const {
  Flight flight{std::move(assignment), std::move(samples), {}};
  for (const std::size_t item : items_of(program_, 0, flight.samples)) flight.states[item] = {};
  return flight;
}

void Replay::count_pass() {
  const std::lock_guard lock(mutex_);
  passes_ += 1 / segments_;
}

void Replay::advance(const Stage& stage, std::span<Flight* const> flights) {
  advance(stage, stage.segment, flights);
}

// Through the segments of a part up to `last`.
void Replay::advance(const Stage& stage, std::size_t last, std::span<Flight* const> flights) {
  struct Run {
    const Flight* flight;
    std::size_t item;
    Values* state;
  };
  std::vector<Run> runs;
  for (Flight* const flight : flights) {
    for (auto& [item, state] : flight->states) runs.push_back({flight, item, &state});
  }
  parallel_for(runs.size(), workers_, cancel_, [&](std::size_t i, unsigned) {
    const Run& run = runs[i];
    const Values& own = statics(stage.part, run.item);
    for (Stage at = stage; at.segment <= last; ++at.segment) {
      *run.state = runner(at).run(*run.state, own, run.flight->assignment);
      count_pass();
    }
  });
  if (!Stage{stage.part, last}.is_last_of_part(program_)) return;
  for (Flight* const flight : flights) join(stage.part, *flight);
}

Stage Replay::advance_together(Stage stage, std::span<Flight* const> flights) {
  std::vector<const Assignment*> assignments;
  for (const Flight* const flight : flights) assignments.push_back(&flight->assignment);
  const bool alone = weights_.fits(assignments);
  while (alone ? stage.part + 1 < program_.parts.size() : !stage.is_last(program_)) {
    const std::size_t last = program_.parts[stage.part]->cut.segments.size() - 1;
    const Stage end{stage.part, alone ? last : stage.segment};
    advance(stage, end.segment, flights);
    stage = end.next(program_);
  }
  return stage;
}

void Replay::join(std::size_t part, Flight& flight) const {
  const std::string& output = program_.parts[part]->output();
  std::unordered_map<std::size_t, Values> states;
  for (const std::size_t sample : flight.samples) {
    std::vector<HeldTensor> features;
    for (const std::size_t picture : program_.samples[sample].pictures)
      features.push_back(flight.states.at(picture).at(output));
    states[sample] = program_.join(program_.samples[sample], sample, features);
  }
  flight.states = std::move(states);
}

void Replay::look_inside(const Stage& stage, const Flight& flight, const std::vector<std::size_t>& items,
                         const Visit& visit) {
  SegmentRunner& segment = runner(stage);
  const std::vector<std::string> wanted = segment.inside_values();
  parallel_for(items.size(), workers_, cancel_, [&](std::size_t i, unsigned) {
    const std::size_t item = items[i];
    const Values inside =
        segment.run(flight.states.at(item), statics(stage.part, item), flight.assignment, wanted);
    count_pass();
    visit(item, inside);
  });
}

void Replay::look_inside(const Stage& stage, const Flight& flight, const std::vector<std::size_t>& items,
                         std::size_t pieces, const VisitPiece& visit) {
  SegmentRunner& segment = runner(stage);
  const std::vector<std::string> wanted = segment.inside_values();
  for (std::size_t first = 0; first < items.size(); first += workers_) {
    std::vector<Values> inside(std::min<std::size_t>(workers_, items.size() - first));
    parallel_for(inside.size(), workers_, cancel_, [&](std::size_t i, unsigned) {
      const std::size_t item = items[first + i];
      inside[i] = segment.run(flight.states.at(item), statics(stage.part, item), flight.assignment, wanted);
      count_pass();
    });
    parallel_for(inside.size() * pieces, workers_, cancel_, [&](std::size_t i, unsigned) {
      visit(items[first + i / pieces], i % pieces, inside[i / pieces]);
    });
  }
}

Outputs Replay::run_rest(Stage stage, const Flight& flight, std::size_t sample) {
  const Values& own = statics(stage.part, sample);
  Values state = flight.states.at(sample);
  for (; !stage.is_end(program_); stage = stage.next(program_)) {
    state = runner(stage).run(state, own, flight.assignment);
    count_pass();
  }
  return outputs_of(state);
}

Outputs Replay::outputs_of(const Values& behind) const {
  Outputs outputs;
  for (const std::string& name : program_.parts.back()->compared.names()) {
    const HeldTensor& value = behind.at(name);
    outputs.push_back(value.view.dtype == DType::f64 ? narrowed(value) : value);
  }
  return outputs;
}

Outputs Replay::run_last(const Flight& flight, std::size_t sample) {
  const std::size_t part = program_.parts.size() - 1;
  return run_rest({part, program_.parts[part]->cut.segments.size() - 1}, flight, sample);
}

}  // namespace qvl
