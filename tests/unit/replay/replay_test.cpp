// Flights through the segments of two parts, together and each by itself.
#include "replay/replay.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/hand_made_model.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::HandMadeModel;
using test::noise;

constexpr std::size_t kWidth = 24;
constexpr std::size_t kUnits = 4;  // of each part, one behind the other
constexpr std::size_t kSamples = 3;
constexpr std::uint64_t kEnough = std::uint64_t{1} << 30U;

class ReplayTest : public testing::Test {
 protected:
  ReplayTest() {
    const std::int64_t width = kWidth;
    for (unsigned p = 0; p < 2; ++p) {
      HandMadeModel model;
      model.input("x", {1, width});
      std::string value = "x";
      for (unsigned unit = 0; unit < kUnits; ++unit) {
        const std::string name = std::to_string(p) + std::to_string(unit);
        model.floats("w" + name, {width, width}, noise(kWidth * kWidth, 10 * p + unit + 1));
        model.node("MatMul", {value, "w" + name}, {"p" + name}, name);
        model.node("Tanh", {"p" + name}, {"t" + name});
        value = "t" + name;
      }
      model.output(value);
      const auto file = folder_.path() / (std::to_string(p) + ".onnx");
      model.save(file);
      const std::unordered_set<std::string> changed =
          p == 0 ? std::unordered_set<std::string>{} : std::unordered_set<std::string>{"x"};
      program_.parts.push_back(std::make_unique<ModelPart>("part", file, changed));
    }
    program_.number_units();
    program_.items.resize(2);
    for (std::size_t s = 0; s < kSamples; ++s) {
      Tensor x(DType::f32, {1, width});
      const std::vector<float> values = noise(kWidth, static_cast<unsigned>(100 + s));
      std::ranges::copy(std::as_bytes(std::span(values)), x.bytes().begin());
      PartItem picture;
      picture.inputs.emplace("x", HeldTensor::of(std::move(x)));
      program_.items[0].push_back(std::move(picture));
      program_.items[1].emplace_back();
      Sample sample;
      sample.name = std::to_string(s);
      sample.pictures = {s};
      program_.samples.push_back(std::move(sample));
    }
    program_.join = [](const Sample&, std::size_t, std::span<const HeldTensor> features) {
      return Values{{"x", features.front()}};
    };
  }

  // One unquantized, one with all units quantized, and one with a unit of each part.
  [[nodiscard]] std::vector<Assignment> assignments() const {
    std::vector<Assignment> list(3, Assignment(2 * kUnits));
    for (std::size_t unit = 0; unit < 2 * kUnits; ++unit) list[1].set(unit, &int4_);
    list[2].set(1, &int8_);
    list[2].set(kUnits + 2, &int4_);
    return list;
  }

  struct Run {
    std::vector<std::vector<std::byte>> outputs;  // by assignment and sample
    double passes = 0;
  };
  // `walk` takes flights from the first stage to one of the last part, and returns that.
  template <class Walk>
  Run run(std::uint64_t capacity, unsigned workers, const Walk& walk) {
    WeightStore weights(program_.parts, capacity, 1);
    Replay replay(program_, weights, nullptr, workers, nullptr);
    std::vector<Flight> flights;
    for (const Assignment& assignment : assignments()) flights.push_back(replay.start(assignment, {0, 1, 2}));
    std::vector<Flight*> pointers;
    for (Flight& flight : flights) pointers.push_back(&flight);
    const Stage rest = walk(replay, pointers);
    Run run;
    for (const Flight& flight : flights) {
      for (std::size_t s = 0; s < kSamples; ++s) {
        const HeldTensor output = replay.run_rest(rest, flight, s).front();
        run.outputs.emplace_back(output.view.bytes.begin(), output.view.bytes.end());
      }
    }
    run.passes = replay.passes();
    return run;
  }

  const test::TemporaryFolder folder_;
  Program program_;
  const Format int8_ = parse_format("int8");
  const Format int4_ = parse_format("int4:16");
};

TEST_F(ReplayTest, FlightsGoTogetherOrEachByItself) {
  ASSERT_EQ(program_.parts[0]->cut.segments.size(), kUnits);
  ASSERT_EQ(program_.parts[1]->cut.segments.size(), kUnits);
  const Run steps = run(kEnough, 1, [&](Replay& replay, const std::vector<Flight*>& flights) {
    Stage stage;
    for (; !stage.is_last(program_); stage = stage.next(program_)) replay.advance(stage, flights);
    return stage;
  });
  const auto together = [](Replay& replay, const std::vector<Flight*>& flights) {
    return replay.advance_together({}, flights);
  };
  for (const unsigned workers : {1U, 3U}) {
    for (const std::uint64_t capacity : {kEnough, std::uint64_t{1}}) {
      const Run direct = run(capacity, workers, together);
      EXPECT_EQ(direct.outputs, steps.outputs) << capacity;
      EXPECT_NEAR(direct.passes, 9, 1e-9);
    }
  }
  // All nine outputs are different: samples and assignments are told apart.
  for (std::size_t i = 0; i < steps.outputs.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(steps.outputs[i], steps.outputs[j]) << i << ", " << j;
  }
}

TEST_F(ReplayTest, GoesTogetherAsFarAsWeightsMustBeShared) {
  const auto together = [&](std::uint64_t capacity) {
    Stage rest;
    (void)run(capacity, 1, [&](Replay& replay, const std::vector<Flight*>& flights) {
      return rest = replay.advance_together({}, flights);
    });
    return rest;
  };
  EXPECT_EQ(together(kEnough), (Stage{1, 0}));
  EXPECT_EQ(together(1), (Stage{1, kUnits - 1}));
}

TEST_F(ReplayTest, StartsAtAnyStage) {
  for (const std::uint64_t capacity : {kEnough, std::uint64_t{1}}) {
    std::vector<std::vector<std::byte>> first;
    for (std::size_t steps = 0; steps < 2 * kUnits; ++steps) {
      const Run mixed = run(capacity, 2, [&](Replay& replay, const std::vector<Flight*>& flights) {
        Stage stage;
        for (std::size_t i = 0; i < steps; ++i, stage = stage.next(program_)) replay.advance(stage, flights);
        return replay.advance_together(stage, flights);
      });
      if (steps == 0) first = mixed.outputs;
      EXPECT_EQ(mixed.outputs, first) << steps;
    }
  }
}

}  // namespace
}  // namespace qvl
