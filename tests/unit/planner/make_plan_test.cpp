// From measurements to plan.json, on a small model.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "planner/plan_units.h"
#include "qvl/plan.h"
#include "sensitivity/front_setting.h"
#include "sensitivity/run_context.h"
#include "support/test_data.h"
#include "unit/planner/small_decoder.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class MakePlanTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = new test::TemporaryFolder;
    test::write_small_decoder(shared_->path() / "model.onnx");
    test::write_small_samples(shared_->path() / "samples", 3);
    measured_ = new SensitivityReport(measure_sensitivity(run_options(shared_->path() / "report")).report);
  }
  static void TearDownTestSuite() {
    delete measured_;
    delete shared_;
  }
  static SensitivityOptions run_options(const fs::path& report) {
    SensitivityOptions options;
    options.model = shared_->path() / "model.onnx";
    options.data = shared_->path() / "samples";
    options.report = report;
    options.formats = {"int8", "int4:16", "int8-dynamic"};
    options.method = Method::exact;
    options.threads = 2;
    return options;
  }
  // A copy of the report folder, so that tests do not see each other's plans.
  [[nodiscard]] PlanOptions plan_options() const {
    if (!fs::exists(folder_.path() / "report"))
      fs::copy(shared_->path() / "report", folder_.path() / "report", fs::copy_options::recursive);
    PlanOptions options;
    options.report = folder_.path() / "report";
    options.out = folder_.path() / "plan.json";
    options.threads = 2;
    return options;
  }
  [[nodiscard]] PlanResult plan_of_bits(double bits) const {
    PlanOptions options = plan_options();
    options.budget.bits = bits;
    return make_plan(options);
  }
  static std::map<std::string, std::string> formats_in(const std::string& plan) {
    std::map<std::string, std::string> formats;
    const Json json = Json::parse(plan);
    for (const Json& unit : json.at("units"))
      formats[unit.at("name").get<std::string>()] = unit.at("format").get<std::string>();
    return formats;
  }
  template <class Thrown>
  static void refuse(const PlanOptions& options, const std::string& message) {
    try {
      (void)make_plan(options);
      FAIL() << "a plan was made";
    } catch (const Thrown& error) {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
    }
  }

  static test::TemporaryFolder* shared_;
  static SensitivityReport* measured_;
  const test::TemporaryFolder folder_;
};

test::TemporaryFolder* MakePlanTest::shared_ = nullptr;
SensitivityReport* MakePlanTest::measured_ = nullptr;

TEST_F(MakePlanTest, UnitsOfOneInputAreAGroupAndATiedHeadTakesNoBytes) {
  const RunContext context(run_options(folder_.path() / "other"));
  const std::vector<UnitGroup> groups =
      group_units(*context.program, context.selected, context.row_of, context.formats);
  std::vector<std::vector<std::string>> names;
  for (const UnitGroup& group : groups) {
    names.emplace_back();
    for (const PlanUnit& unit : group) names.back().push_back(context.program->unit(unit.unit).name);
  }
  ASSERT_EQ(groups.size(), 3U * 4 + 1);
  EXPECT_EQ(names[0],
            (std::vector<std::string>{"/layers.0/q/MatMul", "/layers.0/k/MatMul", "/layers.0/v/MatMul"}));
  EXPECT_EQ(names[1], std::vector<std::string>{"/layers.0/o/MatMul"});
  EXPECT_EQ(names[2], (std::vector<std::string>{"/layers.0/gate/MatMul", "/layers.0/up/MatMul"}));
  EXPECT_EQ(names[12], std::vector<std::string>{"/head/MatMul"});
  const PlanUnit& head = groups[12].front();
  EXPECT_TRUE(head.size.shared);
  EXPECT_EQ(head.bytes({}), 0U);
  EXPECT_EQ(head.bytes(parse_format("int4:16")), 40U * 2 * (8 + 4));
  EXPECT_EQ(head.parameters(), 0U);
  EXPECT_FALSE(groups[0].front().size.shared);
  EXPECT_EQ(groups[0].front().bytes({}), 32U * 32 * 4);
}

TEST_F(MakePlanTest, AssignmentsOfOneUnitAndOfAllAreWhatTheReportSays) {
  RunContext context(run_options(folder_.path() / "fresh"));
  context.run_plain();
  const std::size_t units = context.program->unit_count();
  std::vector<NamedAssignment> assignments;
  assignments.push_back({"none", Assignment(units)});
  for (const std::size_t unit : {std::size_t{0}, std::size_t{9}, units - 1}) {
    assignments.push_back({"unit " + std::to_string(unit), Assignment(units)});
    assignments.back().assignment.set(unit, &context.formats[1]);
  }
  assignments.push_back({"all", Assignment(units)});
  for (std::size_t unit = 0; unit < units; ++unit)
    assignments.back().assignment.set(unit, &context.formats[1]);
  const std::vector<OutputError> errors = context.experiment->measure_assignments(assignments, "test");
  ASSERT_EQ(errors.size(), 5U);
  EXPECT_EQ(errors[0].kl, 0);
  std::size_t i = 1;
  for (const std::size_t unit : {std::size_t{0}, std::size_t{9}, units - 1}) {
    const FormatResult& result = measured_->units[context.row_of[unit]].formats[1];
    ASSERT_GT(result.in->kl.value(), 0);
    EXPECT_NEAR(errors[i].kl.value() / result.in->kl.value(), 1, 1e-5) << unit;
    EXPECT_NEAR(errors[i].mse / result.in->mse, 1, 1e-5) << unit;
    ++i;
  }
  EXPECT_NEAR(errors[4].kl.value() / measured_->whole[1].all->kl.value(), 1, 1e-5);
}

TEST_F(MakePlanTest, WhereAnAssignmentLeavesTheFirstDoesNotMatter) {
  RunContext context(run_options(folder_.path() / "fresh"));
  context.run_plain();
  const std::size_t units = context.program->unit_count();
  Assignment base(units);
  for (std::size_t unit = 0; unit < units; ++unit) base.set(unit, &context.formats[unit % 2]);
  Assignment late = base;
  late.set(units - 3, nullptr);
  Assignment early = base;
  early.set(1, &context.formats[2]);
  const std::vector<NamedAssignment> together{{"base", base}, {"late", late}, {"early", early}};
  const std::vector<OutputError> shared = context.experiment->measure_assignments(together, "test");
  for (std::size_t i = 0; i < together.size(); ++i) {
    const std::vector<NamedAssignment> alone{{together[i].key + " alone", together[i].assignment}};
    EXPECT_EQ(context.experiment->measure_assignments(alone, "test").front().mse, shared[i].mse)
        << together[i].key;
  }
  EXPECT_NE(shared[0].mse, shared[1].mse);
  EXPECT_NE(shared[0].mse, shared[2].mse);
}

TEST_F(MakePlanTest, APlanKeepsItsBudgetAndTiedUnitsHaveOneFormat) {
  const PlanResult result = plan_of_bits(8);
  EXPECT_LE(result.bits, 8);
  EXPECT_GT(result.bits, 6);
  EXPECT_EQ(result.gap, 0);
  ASSERT_TRUE(result.measured);
  EXPECT_GT(*result.measured, 0);
  const auto formats = formats_in(result.plan_json);
  EXPECT_EQ(formats.size(), 22U);
  for (const std::string layer : {"/layers.0/", "/layers.1/", "/layers.2/"}) {
    EXPECT_EQ(formats.at(layer + "q/MatMul"), formats.at(layer + "k/MatMul"));
    EXPECT_EQ(formats.at(layer + "q/MatMul"), formats.at(layer + "v/MatMul"));
    EXPECT_EQ(formats.at(layer + "gate/MatMul"), formats.at(layer + "up/MatMul"));
  }
  EXPECT_EQ(formats.at("/head/MatMul"), "keep");  // quantized it would only add to the file
  int units = 0;
  std::uint64_t bytes = 0;
  for (const PlanShare& share : result.shares) {
    units += share.units;
    bytes += share.bytes;
    EXPECT_EQ(std::ranges::count_if(formats, [&](const auto& f) { return f.second == share.format; }),
              share.units);
  }
  EXPECT_EQ(units, 22);
  EXPECT_EQ(bytes, result.bytes);
  EXPECT_EQ(test::read_file(folder_.path() / "plan.json"), result.plan_json);
  const Json record = Json::parse(result.plan_json).at("record");
  EXPECT_EQ(record.at("budget"), "bits=8");
  EXPECT_EQ(record.at("bytes"), result.bytes);
  EXPECT_EQ(record.at("measured"), *result.measured);
  EXPECT_EQ(record.at("rounds").size(), result.rounds.size());
}

TEST_F(MakePlanTest, ThePlanIsTheBestOfThoseMeasured) {
  const PlanResult result = plan_of_bits(8);
  double best = result.rounds.front().measured.value();
  for (const PlanRound& round : result.rounds) best = std::min(best, round.measured.value());
  EXPECT_EQ(*result.measured, best);
}

TEST_F(MakePlanTest, UniformPlansThatFitAreAmongThoseMeasured) {
  const PlanResult result = plan_of_bits(12);
  std::map<std::string, double> measured;
  for (const PlanRound& round : result.rounds) measured[round.change] = round.measured.value();
  const std::string rest = ", but those that it makes no smaller";  // the tied head
  ASSERT_TRUE(measured.contains("all units in int8" + rest));
  ASSERT_TRUE(measured.contains("all units in int4:16" + rest));
  EXPECT_GT(measured.at("all units in int4:16" + rest), measured.at("all units in int8" + rest));
  EXPECT_LE(*result.measured, measured.at("all units in int8" + rest));
  const auto formats = formats_in(result.plan_json);
  EXPECT_EQ(std::ranges::count_if(formats, [](const auto& f) { return f.second != "keep"; }),
            result.quantized_units);
  for (const PlanRound& round : plan_of_bits(7).rounds)
    EXPECT_FALSE(round.change.starts_with("all units in int8")) << "8 bits and scales do not fit 7";
}

TEST_F(MakePlanTest, APlanThatQuantizesNothingSaysSo) {
  PlanOptions options = plan_options();
  options.budget.kl = 0;
  const PlanResult result = make_plan(options);
  EXPECT_EQ(result.quantized_units, 0);
  EXPECT_EQ(result.measured, 0);
}

TEST_F(MakePlanTest, TheSamePlanAgainMeasuresNothing) {
  const PlanResult first = plan_of_bits(8);
  PlanOptions options = plan_options();
  options.budget.bits = 8;
  int calls = 0;
  options.on_progress = [&](const SensitivityProgress&) { ++calls; };
  const PlanResult again = make_plan(options);
  EXPECT_EQ(again.plan_json, first.plan_json);
  EXPECT_EQ(calls, 0);
}

TEST_F(MakePlanTest, AnErrorBudgetIsKeptWhenMeasured) {
  PlanOptions options = plan_options();
  const double whole = measured_->whole[1].all->kl.value();
  std::uint64_t before = 0;
  for (const double share : {0.5, 0.1, 0.02}) {
    options.budget.kl = whole * share;
    const PlanResult result = make_plan(options);
    EXPECT_LE(result.measured.value(), *options.budget.kl);
    EXPECT_GE(result.bytes, before) << share;
    before = result.bytes;
  }
  EXPECT_LT(before, measured_->units.size() * 32 * 48 * 4);
}

TEST_F(MakePlanTest, TheReportHasTheCurveWithAllPlansAlsoAfterAnotherRun) {
  (void)plan_of_bits(8);
  const PlanResult result = plan_of_bits(12);
  const SensitivityReport report = measure_sensitivity(run_options(folder_.path() / "report")).report;
  ASSERT_TRUE(report.front);
  const PlanFront& front = *report.front;
  ASSERT_EQ(front.marks.size(), 2U);
  EXPECT_EQ(front.marks[0].name, "bits=8");
  EXPECT_EQ(front.marks[1].name, "bits=12");
  EXPECT_EQ(front.marks[1].measured, result.measured);
  EXPECT_EQ(front.unquantized_bytes, 3U * (4 * 32 * 32 + 3 * 32 * 48) * 4);
  ASSERT_GT(front.points.size(), 20U);
  EXPECT_EQ(front.points.back().error, 0);
  for (std::size_t i = 1; i < front.points.size(); ++i)
    EXPECT_LT(front.points[i].error, front.points[i - 1].error);
  // A plan that was not repaired lies on the curve, another above it.
  for (const PlanMark& mark : front.marks) {
    double least = 1e300;
    for (const PlanPoint& point : front.points) {
      if (point.bytes <= mark.point.bytes) least = point.error;
    }
    EXPECT_GE(mark.point.error, least * 0.9);
  }
  (void)plan_of_bits(8);  // the same name replaces
  EXPECT_EQ(measure_sensitivity(run_options(folder_.path() / "report")).report.front->marks.size(), 2U);
}

std::vector<std::string> mark_names(const std::vector<PlanMark>& marks) {
  std::vector<std::string> names;
  for (const PlanMark& mark : marks) names.push_back(mark.name);
  return names;
}

TEST_F(MakePlanTest, MarksAreListedBySizeAndRemovedByName) {
  (void)plan_of_bits(12);
  const PlanResult small = plan_of_bits(8);
  const fs::path report = folder_.path() / "report";
  const std::vector<PlanMark> marks = plan_marks(report);
  EXPECT_EQ(mark_names(marks), (std::vector<std::string>{"bits=8", "bits=12"}));
  EXPECT_EQ(marks[0].point.bytes, small.bytes);
  EXPECT_EQ(marks[0].measured, small.measured);
  try {
    (void)remove_plan_marks(report, {"bits=8", "bits=9"});
    FAIL() << "bits=9 was removed";
  } catch (const UsageError& error) {
    EXPECT_EQ(std::string(error.what()), report.string() + " has no plan called bits=9; there are: bits=12");
  }
  EXPECT_EQ(plan_marks(report).size(), 2U);  // all or nothing
  EXPECT_EQ(mark_names(remove_plan_marks(report, {"bits=8"})), std::vector<std::string>{"bits=12"});
  EXPECT_EQ(mark_names(plan_marks(report)), std::vector<std::string>{"bits=12"});
  EXPECT_EQ(test::read_file(report / "report.html").find("bits=8"), std::string::npos);
  EXPECT_NE(test::read_file(report / "report.json").find("bits=12"), std::string::npos);
  EXPECT_THROW((void)plan_marks("/none"), InputError);
}

// What was measured is neither lost in the report nor in the plan.
TEST_F(MakePlanTest, WithoutMeasuringWhatWasMeasuredStays) {
  PlanOptions options = plan_options();
  options.budget.bits = 12;
  options.rounds = 0;
  const PlanResult measured = make_plan(options);
  ASSERT_TRUE(measured.measured);
  options.measure = false;
  const PlanResult again = make_plan(options);
  EXPECT_EQ(again.measured, measured.measured);  // the same plan: its number is known
  EXPECT_EQ(formats_in(again.plan_json), formats_in(measured.plan_json));
  EXPECT_EQ(again.rounds.back().measured, measured.measured);
  options.formats = {"int8"};
  options.budget.bits = 10;
  EXPECT_FALSE(make_plan(options).measured);
  // Another plan of the same name: the measured one keeps its place.
  PlanFront front;
  front.marks = {{"bits=12", {1, 1, 1}, std::nullopt}};
  const fs::path store_place = store_of(options.report);
  const MeasuredModel model = MeasurementStore::model_of(store_place);
  MeasurementStore store(store_place, model.sha256, model.name);
  const RunSettings settings = settings_in(store, options.report);
  store_front(settings, store, front);
  const std::vector<PlanMark> marks = stored_front(settings, store)->marks;
  EXPECT_EQ(mark_names(marks),
            (std::vector<std::string>{"bits=12 not measured", "bits=10 formats=int8", "bits=12"}));
  EXPECT_EQ(marks[2].measured, measured.measured);
}

TEST_F(MakePlanTest, ReplacesNoFileThatIsNoPlan) {
  PlanOptions options = plan_options();
  options.budget.bits = 12;
  options.measure = false;
  for (const std::string text : {"my notes", "{}", "[1]"}) {
    test::write_file(options.out, text);
    refuse<InputError>(options, "is there and is no plan; choose another name");
    EXPECT_EQ(test::read_file(options.out), text);
  }
  options.out = options.report / "measurements.sqlite";
  refuse<InputError>(options, "is no plan");
  options.out = folder_.path() / "plan.json";
  test::write_file(options.out, "");
  const std::string plan = make_plan(options).plan_json;
  EXPECT_EQ(test::read_file(options.out), plan);
  EXPECT_EQ(make_plan(options).plan_json, plan);  // a plan is replaced
}

TEST_F(MakePlanTest, ALatencyBudgetIsKept) {
  PlanOptions options = plan_options();
  options.budget.bytes = 1'000'000;
  options.budget.latency_ms = 1e9;
  options.latency_rows = 8;
  options.measure = false;
  const PlanResult loose = make_plan(options);
  EXPECT_GT(loose.latency_ms.value(), 0);
  EXPECT_FALSE(loose.measured);
  EXPECT_EQ(formats_in(loose.plan_json).at("/layers.0/o/MatMul"), "keep");  // nothing asks for less
  options.budget.latency_ms = 1e-9;
  refuse<InputError>(options, "the least latency that can be had is");
}

TEST_F(MakePlanTest, ScoresMakePlansToo) {
  SensitivityOptions run = run_options(folder_.path() / "scores");
  run.criterion = Criterion::weight_mse;
  (void)measure_sensitivity(run);
  PlanOptions options = plan_options();
  options.report = run.report;
  options.budget.bits = 8;
  const PlanResult result = make_plan(options);
  EXPECT_LE(result.bits, 8);
  EXPECT_GT(result.measured.value(), 0);
  EXPECT_EQ(result.rounds.front().change, "first plan");
  for (const PlanRound& round : result.rounds) {  // it is not repaired by what its criterion does not know
    EXPECT_EQ(round.change.find("re-weighted"), std::string::npos) << round.change;
    EXPECT_LE(*result.measured, round.measured.value());
  }
  options.budget = {};
  options.budget.kl = 0.1;
  refuse<UsageError>(options, "weight-mse");
}

TEST_F(MakePlanTest, WhatCannotBePlannedIsRefused) {
  PlanOptions options = plan_options();
  options.budget.bits = 1;
  refuse<InputError>(options, "the least that can be had is bytes=");
  options.budget.kl = 1;
  refuse<UsageError>(options, "exactly one");
  options.budget = {};
  refuse<UsageError>(options, "exactly one");
  options.budget.bits = 8;
  options.formats = {"int4:64"};
  refuse<UsageError>(options, "int4:64 was not measured");
  options.formats = {};
  options.report = folder_.path() / "nowhere";
  refuse<InputError>(options, "measurements.sqlite");
}

TEST_F(MakePlanTest, AnotherModelOrOtherDataIsRefused) {
  PlanOptions options = plan_options();
  options.budget.bits = 8;
  test::write_small_decoder(folder_.path() / "model.onnx", 99);
  options.model = folder_.path() / "model.onnx";
  refuse<InputError>(options, "holds measurements of");
  options.model.clear();
  test::write_small_samples(folder_.path() / "others", 3, 5);
  options.data = folder_.path() / "others";
  refuse<InputError>(options, "is not what");
}

TEST_F(MakePlanTest, AShardIsRefused) {
  SensitivityOptions run = run_options(folder_.path() / "shard");
  run.shard = {0, 2};
  (void)measure_sensitivity(run);
  PlanOptions options = plan_options();
  options.report = run.report;
  options.budget.bits = 8;
  refuse<InputError>(options, "is missing");
}

}  // namespace
}  // namespace qvl
