// Models that others make: several outputs, branches, random nodes, samples without rows. Their numbers must
// be those of plainer models that compute the same.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "checkpoint/safetensors_writer.h"
#include "qvl/error.h"
#include "qvl/plan.h"
#include "qvl/quantize.h"
#include "qvl/sensitivity.h"
#include "support/error_text.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"
#include "support/test_data.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;
using test::add_node;
using test::contains;
using test::HandMadeModel;
using test::kOpen;
using test::noise;
using test::TemporaryFolder;
using test::Tensors;
using Samples = std::vector<Tensors>;

constexpr std::int64_t kForeignWidth = 32;

class ForeignModel : public testing::Test {
 protected:
  SensitivityOptions prepare(const std::string& name, const HandMadeModel& model, const Samples& samples) {
    const fs::path place = folder_.path() / name;
    fs::create_directories(place / "data");
    model.save(place / "model.onnx");
    for (std::size_t i = 0; i < samples.size(); ++i) {
      std::vector<NamedTensor> named;
      for (const auto& [input, tensor] : samples[i]) named.push_back({input, tensor.view()});
      write_safetensors(place / "data" / (std::to_string(i) + ".safetensors"), named);
    }
    SensitivityOptions options;
    options.model = place / "model.onnx";
    options.data = place / "data";
    options.report = place / "report";
    options.formats = {"int8", "int4:32"};
    options.method = Method::exact;
    options.direction_out = true;
    return options;
  }

  SensitivityReport measure(const std::string& name, const HandMadeModel& model, const Samples& samples,
                            const std::string& output = "") {
    SensitivityOptions options = prepare(name, model, samples);
    options.output = output;
    return measure_sensitivity(options).report;
  }

  const TemporaryFolder folder_;
};

std::vector<std::string> unit_names(const SensitivityReport& report) {
  std::vector<std::string> names;
  for (const UnitResult& unit : report.units) names.push_back(unit.name);
  return names;
}

const FormatResult& result_of(const SensitivityReport& report, const std::string& unit,
                              const std::string& format) {
  for (const UnitResult& u : report.units) {
    for (const FormatResult& f : u.formats) {
      if (u.name == unit && f.format == format) return f;
    }
  }
  throw UsageError("no " + unit);
}

Samples rows_of_x(const std::vector<std::int64_t>& counts, unsigned seed = 50) {
  Samples samples;
  for (const std::int64_t count : counts) {
    Tensors sample;
    sample["x"] = test::floats_of({count, kForeignWidth},
                                  noise(static_cast<std::size_t>(count * kForeignWidth), seed++));
    samples.push_back(std::move(sample));
  }
  return samples;
}

// r = relu(x w); logits = r w_cls, boxes = r w_box; `outputs` in this order: also "labels" (the largest of
// logits), "x" and "w_box" themselves.
HandMadeModel heads(const std::vector<std::string>& outputs) {
  HandMadeModel model;
  model.input("x", {kOpen, kForeignWidth});
  model.floats("w", {kForeignWidth, kForeignWidth}, noise(kForeignWidth * kForeignWidth, 1, 0.2F));
  model.node("MatMul", {"x", "w"}, {"b"}, "body");
  model.node("Relu", {"b"}, {"r"});
  const auto asked = [&](const std::string& name) {
    return std::ranges::find(outputs, name) != outputs.end();
  };
  if (asked("logits") || asked("labels")) {
    model.floats("w_cls", {kForeignWidth, kForeignWidth}, noise(kForeignWidth * kForeignWidth, 2, 0.2F));
    model.node("MatMul", {"r", "w_cls"}, {"logits"}, "cls_head");
  }
  if (asked("boxes")) {
    model.floats("w_box", {kForeignWidth, kForeignWidth}, noise(kForeignWidth * kForeignWidth, 3, 0.2F));
    model.node("MatMul", {"r", "w_box"}, {"boxes"}, "box_head");
  }
  if (asked("labels")) test::set(model.node("ArgMax", {"logits"}, {"labels"}), "axis", 1);
  for (const std::string& output : outputs)
    model.output(output, output == "labels" ? onnx::TensorProto::INT64 : onnx::TensorProto::FLOAT);
  return model;
}

// Each output's error is what a model with that output alone has.
TEST_F(ForeignModel, SeveralOutputsHaveTheErrorsThatEachHasAlone) {
  const Samples samples = rows_of_x({5, 3});
  const SensitivityReport logits = measure("logits", heads({"logits"}), samples);
  const SensitivityReport boxes = measure("boxes", heads({"boxes"}), samples);
  const SensitivityReport both = measure("both", heads({"labels", "x", "boxes", "w_box", "logits"}), samples);
  EXPECT_EQ(both.output, "logits");
  EXPECT_TRUE(both.has_logits);
  EXPECT_EQ(unit_names(both), (std::vector<std::string>{"body", "cls_head", "box_head"}));
  for (const std::string& format : {std::string("int8"), std::string("int4:32")}) {
    for (const std::string& unit : {std::string("body"), std::string("cls_head")}) {
      const FormatResult& found = result_of(both, unit, format);
      EXPECT_DOUBLE_EQ(found.in->mse, result_of(logits, unit, format).in->mse);
      EXPECT_DOUBLE_EQ(*found.in->kl, *result_of(logits, unit, format).in->kl);
      EXPECT_DOUBLE_EQ(found.out->mse, result_of(logits, unit, format).out->mse);
    }
    for (const std::string& unit : {std::string("body"), std::string("box_head")}) {
      const FormatResult& found = result_of(both, unit, format);
      ASSERT_EQ(found.in->others.size(), 1U);
      EXPECT_EQ(found.in->others.front().first, "boxes");
      EXPECT_DOUBLE_EQ(*found.in->others.front().second, result_of(boxes, unit, format).in->mse);
      EXPECT_DOUBLE_EQ(*found.out->others.front().second, result_of(boxes, unit, format).out->mse);
    }
    EXPECT_TRUE(both.units[2].unseen);
    EXPECT_FALSE(both.units[0].unseen || both.units[1].unseen);
    EXPECT_EQ(result_of(both, "box_head", format).in->mse, 0);
    EXPECT_EQ(*result_of(both, "cls_head", format).in->others.front().second, 0);
  }
  EXPECT_DOUBLE_EQ(*both.whole[0].all->others.front().second, boxes.whole[0].all->mse);
  EXPECT_DOUBLE_EQ(both.whole[0].all->mse, logits.whole[0].all->mse);
}

TEST_F(ForeignModel, AnOutputCanBeNamed) {
  const Samples samples = rows_of_x({4});
  const SensitivityReport boxes = measure("boxes", heads({"boxes"}), samples);
  const SensitivityReport named = measure("named", heads({"logits", "boxes"}), samples, "boxes");
  EXPECT_EQ(named.output, "boxes");
  EXPECT_FALSE(named.has_logits);
  EXPECT_DOUBLE_EQ(result_of(named, "body", "int8").in->mse, result_of(boxes, "body", "int8").in->mse);
  // The same folder measured by the other output keeps both apart.
  SensitivityOptions options = prepare("named", heads({"logits", "boxes"}), samples);
  const SensitivityReport other = measure_sensitivity(options).report;
  EXPECT_EQ(other.output, "logits");
  EXPECT_NE(result_of(other, "body", "int8").in->mse, result_of(named, "body", "int8").in->mse);
  for (const std::string& wrong : {std::string("nothing"), std::string("labels"), std::string("x")}) {
    SensitivityOptions bad = prepare("bad", heads({"labels", "x", "boxes"}), samples);
    bad.output = wrong;
    try {
      (void)measure_sensitivity(bad);
      FAIL() << wrong;
    } catch (const UsageError& error) {
      EXPECT_TRUE(contains(error.what(), "labels (I64), x (F32, depends on no unit), boxes (F32)"))
          << error.what();
    }
  }
}

TEST_F(ForeignModel, WholeNumbersAloneCannotBeCompared) {
  const SensitivityOptions options = prepare("labels", heads({"labels"}), rows_of_x({4}));
  const std::string error = test::input_error([&] { (void)measure_sensitivity(options); });
  EXPECT_TRUE(contains(error, "labels (I64)")) << error;
  QuantizeOptions quantize;
  quantize.model = options.model;
  quantize.data = options.data;
  quantize.format = "int4:32";
  quantize.algorithm = "gptq";
  quantize.out = folder_.path() / "labels" / "q";
  EXPECT_EQ(quantize_model(quantize).files.front().quantized, 2);
}

// A plan of a model with several outputs is measured by the one that the run was measured by.
TEST_F(ForeignModel, APlanGoesOnWithTheRunsOutput) {
  SensitivityOptions options = prepare("plan", heads({"logits", "boxes"}), rows_of_x({6, 2}));
  options.output = "boxes";
  (void)measure_sensitivity(options);
  PlanOptions plan;
  plan.report = options.report;
  plan.budget.bits = 6;
  const PlanResult made = make_plan(plan);
  ASSERT_TRUE(made.measured);
  EXPECT_GT(*made.measured, 0);
  EXPECT_EQ(made.unseen, std::vector<std::string>{"cls_head"});
  plan.output = "logits";
  EXPECT_THROW((void)make_plan(plan), UsageError);
}

// Samples without rows: first, in the middle, last.
TEST_F(ForeignModel, SamplesWithoutRowsAddNothing) {
  for (const std::string& format :
       {std::string("int8"), std::string("int8-dynamic"), std::string("int8-static")}) {
    for (const Method method : {Method::exact, Method::fast}) {
      const auto run = [&](const std::string& name, const std::vector<std::int64_t>& counts) {
        Samples samples = rows_of_x(counts);
        if (counts.size() == 5) {  // the same rows
          samples[1] = rows_of_x({7}, 50).front();
          samples[3] = rows_of_x({4}, 51).front();
        }
        SensitivityOptions options = prepare(name + format, heads({"boxes"}), samples);
        options.formats = {format};
        options.method = method;
        return measure_sensitivity(options).report;
      };
      const SensitivityReport plain = run("plain", {7, 4});
      const SensitivityReport with = run("with", {0, 7, 0, 4, 0});
      for (const char* unit : {"body", "box_head"}) {
        EXPECT_DOUBLE_EQ(result_of(plain, unit, format).in->mse, result_of(with, unit, format).in->mse)
            << unit << " " << format;
      }
      EXPECT_DOUBLE_EQ(plain.whole[0].all->mse, with.whole[0].all->mse);
    }
  }
}

// Of samples of different sizes, the estimate is a mean over elements, as the exact error is. With all
// samples carried it is the exact error.
TEST_F(ForeignModel, TheFastErrorWeighsSamplesAsTheExactOne) {
  SensitivityOptions options = prepare("fast", heads({"boxes"}), rows_of_x({40, 0}));
  const SensitivityReport exact = measure_sensitivity(options).report;
  options.method = Method::fast;
  const SensitivityReport fast = measure_sensitivity(options).report;
  for (const char* unit : {"body", "box_head"}) {
    EXPECT_NEAR(result_of(fast, unit, "int8").in->mse / result_of(exact, unit, "int8").in->mse, 1, 1e-6);
  }
}

TEST_F(ForeignModel, DataWithoutAnyRowIsRefused) {
  SensitivityOptions options = prepare("empty", heads({"boxes"}), rows_of_x({0, 0}));
  options.formats = {"int8"};
  std::string error = test::input_error([&] { (void)measure_sensitivity(options); });
  EXPECT_TRUE(contains(error, "no sample gives the output boxes an element")) << error;
  options.formats = {"int8-static"};
  error = test::input_error([&] { (void)measure_sensitivity(options); });
  EXPECT_TRUE(contains(error, "no sample gives unit body a finite number")) << error;
}

// h = x w; then y = relu(h) v or y = h u, by `condition`.
HandMadeModel branching_units(bool in_place, bool by_unit = false) {
  HandMadeModel model;
  model.input("x", {kOpen, kForeignWidth});
  if (!in_place && !by_unit) model.input("cached", {1}, onnx::TensorProto::BOOL);
  model.floats("w", {kForeignWidth, kForeignWidth}, noise(kForeignWidth * kForeignWidth, 1, 0.2F));
  model.floats("v", {kForeignWidth, kForeignWidth}, noise(kForeignWidth * kForeignWidth, 2, 0.2F));
  model.node("MatMul", {"x", "w"}, {"h"}, "before");
  if (in_place) {
    model.node("Relu", {"h"}, {"r"});
    model.node("MatMul", {"r", "v"}, {"y"}, "choice/then_branch/proj");
    model.output("y");
    return model;
  }
  if (by_unit) {
    model.floats("zero", {}, {0});
    test::set(model.node("ReduceMax", {"h"}, {"most"}), "keepdims", 0);
    model.node("Greater", {"most", "zero"}, {"cached"});
  }
  onnx::NodeProto& choice = model.node("If", {"cached"}, {"y"}, "choice");
  const auto out = [](onnx::GraphProto& body) {
    *body.add_output() = test::value_info("z", {kOpen, kForeignWidth}, onnx::TensorProto::FLOAT);
    body.mutable_output(0)
        ->mutable_type()
        ->mutable_tensor_type()
        ->mutable_shape()
        ->mutable_dim(0)
        ->set_dim_param("n");
  };
  onnx::GraphProto& then = test::sub_graph(choice, "then_branch");
  add_node(then, "Relu", {"h"}, {"r"});
  add_node(then, "MatMul", {"r", "v"}, {"z"}, "proj");
  out(then);
  onnx::GraphProto& otherwise = test::sub_graph(choice, "else_branch");
  *otherwise.add_initializer() =
      test::float_tensor("u", {kForeignWidth, kForeignWidth}, noise(kForeignWidth * kForeignWidth, 3, 0.2F));
  add_node(otherwise, "MatMul", {"h", "u"}, {"z"}, "proj");
  out(otherwise);
  model.output("y");
  return model;
}

Samples cached(Samples samples, const std::vector<bool>& truths) {
  for (std::size_t i = 0; i < samples.size(); ++i) {
    Tensor truth(DType::boolean, {1});
    truth.bytes()[0] = truths[i] ? std::byte{1} : std::byte{0};
    samples[i]["cached"] = std::move(truth);
  }
  return samples;
}

TEST_F(ForeignModel, ABranchThatAllSamplesTakeIsMeasuredInPlace) {
  const Samples samples = rows_of_x({5, 3});
  const SensitivityReport plain = measure("plain", branching_units(true), samples);
  const SensitivityReport found = measure("if", branching_units(false), cached(samples, {true, true}));
  EXPECT_EQ(unit_names(found), (std::vector<std::string>{"before", "choice/then_branch/proj"}));
  for (const std::string& unit : unit_names(plain)) {
    EXPECT_DOUBLE_EQ(result_of(found, unit, "int4:32").in->mse, result_of(plain, unit, "int4:32").in->mse);
    EXPECT_DOUBLE_EQ(result_of(found, unit, "int4:32").out->mse, result_of(plain, unit, "int4:32").out->mse);
  }
  EXPECT_FALSE(found.units[0].in_body);
  EXPECT_TRUE(found.units[1].in_body);
  EXPECT_TRUE(found.unmeasured.empty());  // the other branch is not taken
}

TEST_F(ForeignModel, BranchesThatSamplesDoNotFixAreToldAndLeftOut) {
  const Samples samples = rows_of_x({5, 3});
  const SensitivityReport mixed = measure("mixed", branching_units(false), cached(samples, {true, false}));
  EXPECT_EQ(unit_names(mixed), std::vector<std::string>{"before"});
  ASSERT_EQ(mixed.unmeasured.size(), 1U);
  EXPECT_EQ(mixed.unmeasured[0].op, "If");
  EXPECT_EQ(mixed.unmeasured[0].names,
            (std::vector<std::string>{"choice/then_branch/proj", "choice/else_branch/proj"}));
  EXPECT_EQ(mixed.unmeasured[0].parameters, 2 * kForeignWidth * kForeignWidth);
  EXPECT_DOUBLE_EQ(mixed.unmeasured[0].share, 2.0 / 3);
  // Quantization may change what a unit decides.
  const SensitivityReport by_unit = measure("by unit", branching_units(false, true), samples);
  EXPECT_EQ(unit_names(by_unit), std::vector<std::string>{"before"});
}

// What is written is right for inputs that take the other branch, too.
TEST_F(ForeignModel, QuantizingLeavesBodiesAsTheyAre) {
  const Samples samples = cached(rows_of_x({5, 3}), {true, true});
  const HandMadeModel model = branching_units(false);
  const SensitivityOptions options = prepare("if", model, samples);
  (void)measure_sensitivity(options);
  PlanOptions plan;
  plan.report = options.report;
  plan.budget.bits = 10;
  plan.out = folder_.path() / "plan.json";
  const PlanResult made = make_plan(plan);
  EXPECT_EQ(made.front.unquantized_bytes, 4U * kForeignWidth * kForeignWidth);  // of `before` alone
  QuantizeOptions quantize;
  quantize.model = options.model;
  quantize.plan = plan.out;
  quantize.out = folder_.path() / "q";
  const QuantizeResult done = quantize_model(quantize);
  EXPECT_EQ(done.files.front().quantized, 1);
  EXPECT_EQ(done.files.front().units, 1);
  ASSERT_EQ(done.files.front().in_bodies.size(), 1U);
  EXPECT_EQ(done.files.front().in_bodies[0].names.size(), 2U);
  for (const bool taken : {true, false}) {
    const Tensors sample = cached(rows_of_x({5}), {taken}).front();
    const fs::path file = quantize.out / "model.onnx";
    const Tensors before = test::run_model(model.serialize(), options.model, sample);
    const Tensors after = test::run_model(test::read_file(file), file, sample);
    EXPECT_LT(test::difference(before.at("y"), after.at("y")), 0.02) << taken;
  }
  test::write_file(folder_.path() / "bad.json",
                   R"({"format": 1, "units": [{"name": "choice/then_branch/proj", "format": "int8"}]})");
  quantize.plan = folder_.path() / "bad.json";
  quantize.out = folder_.path() / "bad";
  const std::string error = test::input_error([&] { (void)quantize_model(quantize); });
  EXPECT_TRUE(contains(error, "choice/then_branch/proj, which lies in the body of an If")) << error;
}

// y = (x + noise) w, by nodes of each kind.
HandMadeModel noisy(const std::string& op) {
  HandMadeModel model;
  model.input("x", {kOpen, kForeignWidth});
  model.floats("w", {kForeignWidth, kForeignWidth}, noise(kForeignWidth * kForeignWidth, 1, 0.2F));
  model.floats("v", {kForeignWidth, kForeignWidth}, noise(kForeignWidth * kForeignWidth, 2, 0.2F));
  model.node("MatMul", {"x", "w"}, {"h"}, "before");
  if (op == "RandomNormal") {
    test::set(model.node(op, {}, {"n"}, "noise"), "shape", std::vector<std::int64_t>{1, kForeignWidth});
    model.node("Add", {"h", "n"}, {"g"});
  } else if (op == "RandomUniformLike") {
    model.node(op, {"h"}, {"n"}, "noise");
    model.node("Mul", {"h", "n"}, {"g"});
  } else if (op == "Dropout") {
    onnx::TensorProto& mode = *model.graph().add_initializer();
    mode.set_name("training");
    mode.set_data_type(onnx::TensorProto::BOOL);
    mode.set_raw_data(std::string(1, '\1'));
    model.node(op, {"h", "", "training"}, {"g"}, "noise");
  } else {
    model.node("Sigmoid", {"h"}, {"p"});
    model.node(op, {"p"}, {"n"}, "noise");
    if (op == "Multinomial") {
      test::set(*model.graph().mutable_node(2), "sample_size", kForeignWidth);
      test::set(model.node("Cast", {"n"}, {"m"}), "to", onnx::TensorProto::FLOAT);
    }
    model.node("Add", {"h", op == "Multinomial" ? "m" : "n"}, {"g"});
  }
  model.node("MatMul", {"g", "v"}, {"y"}, "behind");
  model.output("y");
  return model;
}

// Same data, same bytes; and the error of the last unit is that of its product with one and the same operand:
// far below what other draws would make.
TEST_F(ForeignModel, RandomNodesDrawOnceASample) {
  for (const std::string& op :
       {std::string("RandomNormal"), std::string("RandomUniformLike"), std::string("Dropout"),
        std::string("Bernoulli"), std::string("Multinomial")}) {
    std::map<std::string, std::string> bytes;
    for (const std::string& name : {op + "1", op + "2"}) {
      SensitivityOptions options = prepare(name, noisy(op), rows_of_x({12, 9, 7}));
      options.threads = name.back() == '1' ? 1 : 2;
      const SensitivityReport report = measure_sensitivity(options).report;
      const FormatResult& behind = result_of(report, "behind", "int8");
      ASSERT_TRUE(behind.local) << op;
      EXPECT_LT(behind.local->relative_error, 0.01) << op;
      EXPECT_GT(behind.in->mse, 0) << op;
      const FormatResult& before = result_of(report, "before", "int8");
      EXPECT_GT(before.in->mse, 0) << op;
      EXPECT_LT(before.in->mse, 0.01) << op;
      for (const char* file : {"report.json", "report.csv", "report.md", "report.html"})
        bytes[name] += test::read_file(options.report / file);
    }
    EXPECT_EQ(bytes[op + "1"], bytes[op + "2"]) << op;
  }
}

TEST_F(ForeignModel, RandomNodesInBodiesAreRefusedByName) {
  HandMadeModel model = branching_units(false);
  onnx::GraphProto& then = *model.graph().mutable_node(1)->mutable_attribute(0)->mutable_g();
  then.mutable_node(0)->set_op_type("Bernoulli");
  then.mutable_node(0)->set_name("coin");
  const SensitivityOptions options = prepare("body", model, cached(rows_of_x({3}), {true}));
  const std::string error = test::input_error([&] { (void)measure_sensitivity(options); });
  EXPECT_TRUE(contains(error, "choice/then_branch/coin (Bernoulli) draws random numbers")) << error;
}

// What a sample feeds for an initializer that is an input, too, is not passed over.
TEST_F(ForeignModel, ASampleThatFeedsAnInitializerIsRefused) {
  HandMadeModel model = heads({"boxes"});
  model.input("w", {kForeignWidth, kForeignWidth});
  Samples samples = rows_of_x({3});
  EXPECT_EQ(measure("without", model, samples).units.size(), 2U);
  samples[0]["w"] = test::floats_of({kForeignWidth, kForeignWidth}, noise(kForeignWidth * kForeignWidth, 8));
  const SensitivityOptions options = prepare("with", model, samples);
  const std::string error = test::input_error([&] { (void)measure_sensitivity(options); });
  EXPECT_TRUE(contains(error, "0.safetensors gives w, for which")) << error;
}

// Logits whose rows count by a mask that is added to scores: 0 leaves a row.
TEST_F(ForeignModel, MasksThatAreAddedTakeOutWhatIsFarBelowZero) {
  const auto model = [] {
    HandMadeModel made;
    made.input("x", {1, kOpen, kForeignWidth});
    made.input("attention_mask", {1, kOpen});
    made.floats("w", {kForeignWidth, kForeignWidth}, noise(kForeignWidth * kForeignWidth, 1, 0.2F));
    made.integers("last", {1}, {-1});
    made.node("Unsqueeze", {"attention_mask", "last"}, {"column"});
    made.node("MatMul", {"x", "w"}, {"h"}, "unit");
    made.floats("none", {}, {0});
    made.node("Mul", {"column", "none"}, {"nothing"});
    made.node("Add", {"h", "nothing"}, {"logits"});
    made.output("logits");
    return made;
  };
  const auto positions = [&](const std::string& name, const std::vector<float>& mask) {
    const auto count = static_cast<std::int64_t>(mask.size());
    Tensors sample;
    sample["x"] =
        test::floats_of({1, count, kForeignWidth}, noise(static_cast<std::size_t>(count * kForeignWidth), 9));
    sample["attention_mask"] = test::floats_of({1, count}, mask);
    return measure(name, model(), {sample}).positions;
  };
  EXPECT_EQ(positions("added", {0, 0, -10000, 0, -10000}), 3);
  EXPECT_EQ(positions("lowest", {0, -3.4e38F, -3.4e38F, -3.4e38F, -3.4e38F}), 1);
  EXPECT_EQ(positions("negative zero", {-0.0F, 0, 0, -10000}), 3);
  EXPECT_EQ(positions("nothing out", {0, 0, 0}), 3);
  EXPECT_EQ(positions("multiplied", {1, 1, 0, 1}), 3);
}

}  // namespace
}  // namespace qvl
