#include "quant/quant_plan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "qvl/error.h"

namespace qvl {
namespace {

const std::string kSha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

QuantPlan example() {
  QuantPlan plan;
  plan.model = "vision.onnx + \"text\".onnx";
  plan.model_sha256 = kSha256;
  plan.calibration = parse_calibration("percentile:99.99");
  plan.embedding = parse_format("int8:32");
  plan.entries = {{"*", PlannedFormat{parse_format("int4:32"), WeightAlgorithm::gptq, 4, 0}},
                  {"*/vision/*", PlannedFormat{parse_format("int8-static"), {}, 0, 0.1}},
                  {"/ä,b/[1]\n", PlannedFormat{parse_format("int8"), WeightAlgorithm::least_squares, 0, 0}},
                  {"*o_proj*", std::nullopt}};
  plan.record = R"({"kl":0.1,"steps":[1,{"what":"…"}]})";
  return plan;
}

std::string message_of(const std::string& json) {
  try {
    (void)QuantPlan::parse(json, "p.json");
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

std::string with_unit(const std::string& unit) { return R"({"format": 1, "units": [)" + unit + "]}"; }
std::string with_top(const std::string& fields) {
  return R"({"format": 1, "units": [{"name": "*", "format": "int8"}], )" + fields + "}";
}

TEST(QuantPlan, ReadsWhatAHandWrites) {
  const QuantPlan plan = QuantPlan::parse(R"({"format": 1, "embedding": "keep", "units": [
      {"name": "/model/layers.?/*", "format": "int4:32", "algorithm": "gptq", "accuracy_level": 4},
      {"name": "*down_proj*", "format": "int8-dynamic", "smooth": 0.5, "algorithm": "least-squares"},
      {"name": "*o_proj*", "format": "keep"}]})",
                                          "p.json");
  EXPECT_EQ(plan.model, "");
  EXPECT_EQ(plan.calibration, Calibration{});
  EXPECT_FALSE(plan.embedding);
  EXPECT_EQ(plan.record, "");
  const PlannedFormat first{parse_format("int4:32"), WeightAlgorithm::gptq, 4, 0};
  const PlannedFormat second{parse_format("int8-dynamic"), WeightAlgorithm::least_squares, 0, 0.5};
  ASSERT_EQ(plan.entries.size(), 3U);
  EXPECT_EQ(plan.of("/model/layers.3/q_proj/MatMul"), first);
  EXPECT_EQ(plan.of("/model/layers.3/down_proj/MatMul"), second);
  EXPECT_EQ(plan.of("/model/layers.3/o_proj/MatMul"), std::nullopt);
  EXPECT_EQ(plan.of("/model/layers.13/q_proj/MatMul"), std::nullopt);
}

TEST(QuantPlan, MayBeForTheEmbeddingAlone) {
  const QuantPlan plan = QuantPlan::parse(R"({"format": 1, "embedding": "int8:32", "units": []})", "hand");
  EXPECT_TRUE(plan.entries.empty());
  EXPECT_EQ(plan.embedding, parse_format("int8:32"));
  EXPECT_EQ(QuantPlan::parse(plan.to_json(), "written"), plan);
}

TEST(QuantPlan, TheLastEntryThatFitsCounts) {
  QuantPlan plan;
  const PlannedFormat four{parse_format("int4:32"), {}, 0, 0};
  const PlannedFormat eight{parse_format("int8"), {}, 0, 0};
  plan.entries = {{"a*", eight}, {"*", four}};
  EXPECT_EQ(plan.of("ab"), four);
  plan.entries = {{"*", four}, {"a*", eight}, {"ab", std::nullopt}};
  EXPECT_EQ(plan.of("ab"), std::nullopt);
  EXPECT_EQ(plan.of("ac"), eight);
  EXPECT_EQ(plan.of("b"), four);
}

TEST(QuantPlan, IsReadBackAsItWasWritten) {
  const QuantPlan plan = example();
  const std::string text = plan.to_json();
  EXPECT_EQ(QuantPlan::parse(text, "p.json"), plan);
  EXPECT_EQ(QuantPlan::parse(text, "p.json").to_json(), text);
  QuantPlan small;
  small.entries = {{"*", PlannedFormat{}}};
  EXPECT_EQ(small.to_json(),
            "{\n  \"format\": 1,\n  \"units\": [\n    {\"name\": \"*\", \"format\": \"int8\"}\n  ]\n}\n");
  EXPECT_EQ(QuantPlan::parse(small.to_json(), "p.json"), small);
}

TEST(QuantPlan, TheHashIsOfAllButTheRecord) {
  const QuantPlan plan = example();
  EXPECT_EQ(plan.sha256().size(), 64U);
  QuantPlan other = plan;
  other.record = "";
  EXPECT_EQ(other.sha256(), plan.sha256());
  other.record = "[7]";
  EXPECT_EQ(other.sha256(), plan.sha256());
  const auto differs = [&](auto&& change) {
    QuantPlan changed = plan;
    change(changed);
    return changed.sha256() != plan.sha256();
  };
  EXPECT_TRUE(differs([](QuantPlan& p) { p.model += "x"; }));
  EXPECT_TRUE(differs([](QuantPlan& p) { p.model_sha256[0] = 'f'; }));
  EXPECT_TRUE(differs([](QuantPlan& p) { p.calibration = {}; }));
  EXPECT_TRUE(differs([](QuantPlan& p) { p.embedding.reset(); }));
  EXPECT_TRUE(differs([](QuantPlan& p) { p.entries[0].name = "**"; }));
  EXPECT_TRUE(differs([](QuantPlan& p) { p.entries[0].format->format.block = 64; }));
  EXPECT_TRUE(differs([](QuantPlan& p) { p.entries[0].format->algorithm = {}; }));
  EXPECT_TRUE(differs([](QuantPlan& p) { p.entries[0].format->accuracy_level = 3; }));
  EXPECT_TRUE(differs([](QuantPlan& p) { p.entries[1].format->smooth = 0.2; }));
  EXPECT_TRUE(differs([](QuantPlan& p) { p.entries[1].format.reset(); }));
  EXPECT_TRUE(differs([](QuantPlan& p) { p.entries.pop_back(); }));
}

TEST(QuantPlan, SaysWhatIsWrongAndWhere) {
  const auto expect = [](const std::string& json, const std::vector<std::string>& parts) {
    const std::string message = message_of(json);
    for (const std::string& part : parts)
      EXPECT_NE(message.find(part), std::string::npos) << json << "\n" << message;
    EXPECT_TRUE(message.starts_with("p.json")) << message;
  };
  expect("[]", {"the plan is a list of 0", "an object"});
  expect("{", {"not valid JSON"});
  expect("{}", {"has no format"});
  expect(R"({"format": 2})", {"has the format 2", "reads 1"});
  expect(R"({"format": 1})", {"has no units"});
  expect(R"({"format": 1, "units": []})", {"the units a list of 0", "one entry at least"});
  expect(R"({"format": 1, "units": {}})", {"the units an object"});
  expect(with_top(R"("unit": 1)"), {R"(unknown key "unit")", "calibrate, embedding, units, record"});
  expect(with_top(R"("model": 1)"), {"the model 1", "a string"});
  expect(with_top(R"("model_sha256": "12")"), {"model_sha256", "64 hexadecimal"});
  expect(with_top(R"("model_sha256": ")" + std::string(64, 'G') + "\""), {"64 hexadecimal"});
  expect(with_top(R"("calibrate": "maximum")"), {"wrong calibrate", "percentile:P"});
  expect(with_top(R"("embedding": "int8")"), {"wrong embedding", "no blocks", "int8:B or int4:B"});
  expect(with_top(R"("embedding": "int8-static")"), {"no blocks"});
  expect(with_top(R"("embedding": "int3:32")"), {"no format \"int3:32\""});
  expect(with_unit("3"), {"units[0] is 3", "an object"});
  expect(with_unit(R"({"format": "int8"})"), {"units[0] has no name"});
  expect(with_unit(R"({"name": "", "format": "int8"})"), {"name", "pattern with * and ?"});
  expect(with_unit(R"({"name": "a"})"), {R"(units[0] ("a") has no format)"});
  expect(with_unit(R"({"name": "a", "format": "int4"})"), {R"(units[0] ("a"))", "4 bits need a block"});
  expect(with_unit(R"({"name": "a", "format": "int8", "bits": 8})"),
         {R"(units[0] ("a"))", R"(unknown key "bits")", "name, format, algorithm, accuracy_level, smooth"});
  expect(with_unit(R"({"name": "a", "format": "int8", "algorithm": "best"})"),
         {R"(("a"))", "wrong algorithm", "least-squares"});
  for (const char* level : {"5", "-1", "1.0", "\"1\"", "null"}) {
    expect(with_unit(fmt::format(R"({{"name": "a", "format": "int8", "accuracy_level": {}}})", level)),
           {"accuracy_level", "0 to 4"});
  }
  for (const char* smooth : {"1.5", "-0.5", "\"1\"", "null"}) {
    expect(with_unit(fmt::format(R"({{"name": "a", "format": "int8-static", "smooth": {}}})", smooth)),
           {R"(("a"))", "smooth", "above 0 to 1"});
  }
  for (const char* format : {"int8", "int8:32", "int4:32"}) {
    expect(with_unit(fmt::format(R"({{"name": "a", "format": "{}", "smooth": 0.5}})", format)),
           {"smooth 0.5", format, "int8-dynamic and int8-static"});
  }
  for (const char* format : {"int8-dynamic", "int8-static"}) {
    expect(with_unit(fmt::format(R"({{"name": "a", "format": "{}", "accuracy_level": 4}})", format)),
           {"accuracy_level 4", format, "int8, int8:B and int4:B"});
  }
  expect(with_unit(R"({"name": "a", "format": "keep", "smooth": 0.5})"), {"kept as it is", "smooth"});
  expect(with_unit(R"({"name": "a", "format": "int8"}, {"name": "b", "format": "x"})"),
         {R"(units[1] ("b"))"});
}

TEST(QuantPlan, EveryFormatMayHaveEveryAlgorithm) {
  for (const Format& format : parse_formats("int8,int8:32,int4:32,int8-dynamic,int8-static")) {
    for (const char* algorithm : {"nearest", "least-squares", "gptq"}) {
      const std::string json = with_unit(
          fmt::format(R"({{"name": "a", "format": "{}", "algorithm": "{}"}})", to_string(format), algorithm));
      const auto planned = QuantPlan::parse(json, "p.json").of("a");
      ASSERT_TRUE(planned);
      EXPECT_EQ(planned->format, format);
      EXPECT_EQ(to_string(planned->algorithm), algorithm);
    }
  }
}

TEST(QuantPlan, WritesNothingThatCannotBeRead) {
  const auto change = [](auto&& how) {
    QuantPlan plan = example();
    how(plan);
    return plan;
  };
  EXPECT_THROW((void)QuantPlan{}.to_json(), UsageError);
  EXPECT_THROW((void)change([](QuantPlan& p) { p.entries[0].name = ""; }).to_json(), UsageError);
  EXPECT_THROW((void)change([](QuantPlan& p) { p.entries[0].format->smooth = 0.5; }).to_json(), UsageError);
  EXPECT_THROW((void)change([](QuantPlan& p) { p.embedding = parse_format("int8"); }).to_json(), UsageError);
  EXPECT_THROW((void)change([](QuantPlan& p) { p.model_sha256 = "x"; }).to_json(), UsageError);
  EXPECT_THROW((void)change([](QuantPlan& p) { p.record = "{"; }).to_json(), InputError);
  EXPECT_THROW((void)change([](QuantPlan& p) { p.entries[0].name = "\xff"; }).to_json(), InputError);
}

}  // namespace
}  // namespace qvl
