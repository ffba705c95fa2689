#include "replay/weight_store.h"

#include <gtest/gtest.h>

#include <thread>

#include "quant/fake_quantize.h"
#include "support/error_text.h"
#include "support/hand_made_model.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::HandMadeModel;
using test::noise;

constexpr std::size_t kElements = 32 * 8;
constexpr std::uint64_t kBytes = kElements * sizeof(float);  // of each weight

// Two parts with three units each.
class WeightStoreTest : public testing::Test {
 protected:
  WeightStoreTest() {
    std::size_t first = 0;
    for (unsigned part = 0; part < 2; ++part) {
      HandMadeModel model;
      model.input("x", {1, 32});
      std::vector<std::string> products;
      for (unsigned unit = 0; unit < 3; ++unit) {
        const std::string name = std::to_string(unit);
        model.floats("w" + name, {32, 8}, weight(3 * part + unit));
        model.node("MatMul", {"x", "w" + name}, {"p" + name}, name);
        products.push_back("p" + name);
      }
      model.node("Sum", products, {"y"});
      model.output("y");
      const auto file = folder_.path() / (std::to_string(part) + ".onnx");
      model.save(file);
      parts_.push_back(std::make_unique<ModelPart>("part", file, std::unordered_set<std::string>{}));
      parts_.back()->first_unit = first;
      first += 3;
    }
  }

  static std::vector<float> weight(std::size_t unit) {
    return noise(kElements, static_cast<unsigned>(unit) + 1);
  }
  static std::vector<float> rounded(std::size_t unit, const Format& format) {
    std::vector<float> values(kElements);
    fake_quantize(WeightLayout::of_matmul({32, 8}), format, weight(unit), values);
    return values;
  }

  const test::TemporaryFolder folder_;
  std::vector<std::unique_ptr<ModelPart>> parts_;
  const Format int8_ = parse_format("int8");
  const Format int4_ = parse_format("int4:16");
};

TEST_F(WeightStoreTest, GivesWeightsOfAllPartsAndTheirQuantizedForms) {
  WeightStore store(parts_, 100 * kBytes, 1);
  const Format dynamic = parse_format("int8-dynamic");
  for (std::size_t unit = 0; unit < 6; ++unit) {
    EXPECT_EQ(*store.get(unit, nullptr), weight(unit));
    EXPECT_EQ(*store.get(unit, &int8_), rounded(unit, int8_));
    EXPECT_EQ(*store.get(unit, &int4_), rounded(unit, int4_));
    EXPECT_EQ(store.get(unit, &dynamic), store.get(unit, &int8_));  // the weights are the same
    double squared = 0;
    for (std::size_t i = 0; i < kElements; ++i) {
      const double d = static_cast<double>(rounded(unit, int4_)[i]) - weight(unit)[i];
      squared += d * d;
    }
    EXPECT_NEAR(store.mean_squared_error(unit, int4_), squared / kElements, 1e-12);
  }
  EXPECT_EQ(store.held_bytes(), 18 * kBytes);
}

TEST_F(WeightStoreTest, KeepsWhatWasUsedLastUpToItsCapacity) {
  WeightStore store(parts_, 4 * kBytes, 1);
  const auto first = store.get(0, &int8_);  // and unit 0 as it is
  const auto second = store.get(1, &int8_);
  EXPECT_EQ(store.held_bytes(), 4 * kBytes);
  EXPECT_EQ(store.get(0, &int8_), first);
  const auto plain = store.get(1, nullptr);
  // From the one used last: 1, 0 int8, 1 int8, 0. Now 0 as it is has to go.
  const auto third = store.get(2, nullptr);
  EXPECT_EQ(store.held_bytes(), 4 * kBytes);
  EXPECT_EQ(store.get(1, &int8_), second);
  EXPECT_EQ(store.get(0, &int8_), first);
  EXPECT_EQ(store.get(1, nullptr), plain);
  EXPECT_EQ(store.get(2, nullptr), third);
  (void)store.get(3, nullptr);
  EXPECT_NE(store.get(1, &int8_), second);  // made anew …
  EXPECT_EQ(*store.get(1, &int8_), *second);
  EXPECT_EQ(*first, rounded(0, int8_));  // … and who has one keeps it
  EXPECT_LE(store.held_bytes(), 4 * kBytes);
}

TEST_F(WeightStoreTest, HoldsOneWeightWhateverItsCapacity) {
  WeightStore store(parts_, 1, 1);
  for (std::size_t unit = 0; unit < 6; ++unit) {
    EXPECT_EQ(*store.get(unit, &int8_), rounded(unit, int8_));
    EXPECT_EQ(store.held_bytes(), kBytes);
  }
  store.set_capacity(3 * kBytes);
  (void)store.get(0, &int8_);
  EXPECT_EQ(store.held_bytes(), 3 * kBytes);
}

TEST_F(WeightStoreTest, SaysWhetherAllWeightsOfAssignmentsFit) {
  const Assignment plain(6);
  Assignment one(6);
  one.set(4, &int8_);
  Assignment all(6);
  for (std::size_t unit = 0; unit < 6; ++unit) all.set(unit, &int4_);
  const auto fits = [&](std::uint64_t weights, std::vector<const Assignment*> assignments) {
    return WeightStore(parts_, weights * kBytes, 1).fits(assignments);
  };
  EXPECT_TRUE(fits(6, {&plain}));
  EXPECT_FALSE(fits(5, {&plain}));
  EXPECT_TRUE(fits(7, {&plain, &one, &one}));
  EXPECT_FALSE(fits(6, {&plain, &one}));
  EXPECT_TRUE(fits(12, {&all}));  // they are made from the weights as they are
  EXPECT_FALSE(fits(11, {&all}));
  EXPECT_TRUE(fits(13, {&all, &one, &plain}));
  EXPECT_FALSE(fits(12, {&all, &one, &plain}));
}

TEST_F(WeightStoreTest, ThreadsShareWhatIsMade) {
  WeightStore store(parts_, 2 * kBytes, 1);  // nearly everything is made again and again
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < 60; ++i) {
        const std::size_t unit = (i * (t + 1)) % 6;
        wrong[t] +=
            *store.get(unit, i % 2 == 0 ? &int8_ : &int4_) != rounded(unit, i % 2 == 0 ? int8_ : int4_);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
  EXPECT_LE(store.held_bytes(), 2 * kBytes);
}

TEST_F(WeightStoreTest, SaysWhichWeightIsBroken) {
  HandMadeModel model;
  model.input("x", {1, 2});
  model.floats("the weight", {2, 1}, {1, std::numeric_limits<float>::infinity()});
  model.node("MatMul", {"x", "the weight"}, {"y"}, "the unit");
  model.output("y");
  model.save(folder_.path() / "broken.onnx");
  std::vector<std::unique_ptr<ModelPart>> parts;
  parts.push_back(
      std::make_unique<ModelPart>("part", folder_.path() / "broken.onnx", std::unordered_set<std::string>{}));
  WeightStore store(parts, kBytes, 1);
  const std::string error = test::input_error([&] { (void)store.get(0, &int8_); });
  EXPECT_TRUE(test::contains(error, "the weight the weight of the unit: ")) << error;
}

}  // namespace
}  // namespace qvl
