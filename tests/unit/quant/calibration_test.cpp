#include "quant/calibration.h"

#include <gtest/gtest.h>

#include "qvl/error.h"

namespace qvl {
namespace {

TEST(Calibration, IsReadAndWritten) {
  EXPECT_EQ(parse_calibration("minmax"), (Calibration{RangeRule::minmax, 0}));
  EXPECT_EQ(parse_calibration("entropy"), (Calibration{RangeRule::entropy, 0}));
  EXPECT_EQ(parse_calibration("percentile:99.99"), (Calibration{RangeRule::percentile, 99.99}));
  for (const std::string_view text : {"minmax", "entropy", "percentile:99.99", "percentile:50",
                                      "percentile:100", "percentile:99.999", "percentile:87.5"}) {
    EXPECT_EQ(to_string(parse_calibration(text)), text);
  }
}

TEST(Calibration, RefusesWhatDoesNotExist) {
  for (const std::string_view text :
       {"", "min", "MINMAX", "minmax ", "percentile", "percentile:", "percentile:49.9", "percentile:100.1",
        "percentile:-99", "percentile:nan", "percentile:inf", "percentile:1e2", "percentile:99x",
        "percentile: 99", "entropy:2"}) {
    EXPECT_THROW((void)parse_calibration(text), UsageError) << text;
  }
  EXPECT_THROW(check({RangeRule::percentile, 0}), UsageError);
  EXPECT_THROW(check({RangeRule::minmax, 99}), UsageError);
  EXPECT_NO_THROW(check(parse_calibration("percentile:99.5")));
  try {
    (void)parse_calibration("kl");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("\"kl\""), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("minmax, percentile:P and entropy"), std::string::npos);
  }
}

}  // namespace
}  // namespace qvl
