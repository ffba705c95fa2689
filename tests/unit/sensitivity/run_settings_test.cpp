#include "sensitivity/run_settings.h"

#include <gtest/gtest.h>

#include "qvl/error.h"
#include "support/error_text.h"

namespace qvl {
namespace {

RunSettings some_settings() {
  RunSettings settings;
  settings.formats = {"int8", "int4:32"};
  settings.samples = {std::string(64, '1'), std::string(64, '2')};
  settings.parts = {{"vision", 5}, {"text \"x\"", 7}};
  settings.method = Method::fast;
  settings.direction_in = false;
  settings.direction_out = true;
  settings.criterion = Criterion::weight_mse;
  settings.calibration = "percentile:99.99 of \u00fc";
  settings.unit_set = "units";
  settings.skeleton = "{\"a\": [1, 2]}";
  return settings;
}

TEST(RunSettings, ComeBackAsTheyWere) {
  RunSettings settings = some_settings();
  EXPECT_EQ(RunSettings::parse(settings.to_json(), "store"), settings);
  for (const Method method : {Method::exact, Method::fast, Method::automatic}) {
    for (const Criterion criterion : {Criterion::kl, Criterion::mse, Criterion::nncf_mean_variance,
                                      Criterion::weight_mse, Criterion::random}) {
      settings.method = method;
      settings.criterion = criterion;
      EXPECT_EQ(RunSettings::parse(settings.to_json(), "store"), settings);
    }
  }
}

TEST(RunSettings, BrokenTextsAreInputErrors) {
  const std::string good = some_settings().to_json();
  const auto error = [](const std::string& text) {
    return test::input_error([&] { (void)RunSettings::parse(text, "the store"); });
  };
  EXPECT_EQ(error(good), "");
  for (const char* key : {"formats", "samples", "parts", "method", "in", "out", "criterion", "calibration",
                          "unit_set", "skeleton"}) {
    const std::string quoted = '"' + std::string(key) + "\":";
    std::string text = good;
    ASSERT_NE(text.find(quoted), std::string::npos) << key;
    text.replace(text.find(quoted), quoted.size(), "\"other\":");
    EXPECT_TRUE(test::contains(error(text), "the store")) << key;
    EXPECT_TRUE(test::contains(error(text), key)) << error(text);
  }
  EXPECT_TRUE(test::contains(error("[]"), "the store"));
  EXPECT_TRUE(test::contains(error("no JSON"), "the store"));
  for (const auto& [from, to] : {std::pair{"\"fast\"", "\"slow\""}, std::pair{"\"weight-mse\"", "\"w\""}}) {
    std::string text = good;
    text.replace(text.find(from), std::string(from).size(), to);
    EXPECT_TRUE(test::contains(error(text), "the store")) << error(text);
  }
}

TEST(RunSettings, NamesOfMethodsAndCriteria) {
  for (const char* name : {"exact", "fast", "auto"}) EXPECT_EQ(to_string(parse_method(name)), name);
  for (const char* name : {"kl", "mse", "nncf-mean-variance", "weight-mse", "random"})
    EXPECT_EQ(to_string(parse_criterion(name)), name);
  EXPECT_THROW((void)parse_method("automatic"), UsageError);
  EXPECT_THROW((void)parse_criterion("KL"), UsageError);
  EXPECT_TRUE(is_measured(Criterion::kl));
  EXPECT_TRUE(is_measured(Criterion::mse));
  EXPECT_FALSE(is_measured(Criterion::weight_mse));
}

}  // namespace
}  // namespace qvl
