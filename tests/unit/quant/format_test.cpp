#include "quant/format.h"

#include <gtest/gtest.h>

#include <map>

#include "qvl/error.h"

namespace qvl {
namespace {

std::string refusal(std::string_view text) {
  try {
    (void)parse_formats(text);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST(Format, IsReadAndWritten) {
  EXPECT_EQ(parse_format("int8"), (Format{8, 0, ActivationRounding::kept}));
  EXPECT_EQ(parse_format("int8:64"), (Format{8, 64, ActivationRounding::kept}));
  EXPECT_EQ(parse_format("int4:32"), (Format{4, 32, ActivationRounding::kept}));
  EXPECT_EQ(parse_format("int8-dynamic"), (Format{8, 0, ActivationRounding::dynamic_u8}));
  EXPECT_EQ(parse_format("int8-static"), (Format{8, 0, ActivationRounding::static_u8}));
  for (const std::string_view text :
       {"int8", "int8:16", "int8:1048576", "int4:16", "int4:1048576", "int8-dynamic", "int8-static"}) {
    EXPECT_EQ(to_string(parse_format(text)), text);
    EXPECT_NO_THROW(check(parse_format(text)));
  }
}

TEST(Format, RefusesWhatDoesNotExist) {
  for (const std::string_view text : {"",
                                      "int",
                                      "int16",
                                      "INT8",
                                      " int8",
                                      "int8 ",
                                      "int8:",
                                      "int8:0",
                                      "int8:8",
                                      "int8:48",
                                      "int8:032",
                                      "int8:+32",
                                      "int8:-32",
                                      "int8:32x",
                                      "int8:2097152",
                                      "int8:99999999999999999999",
                                      "int4",
                                      "int4:",
                                      "int4:1",
                                      "int4-dynamic",
                                      "int8-",
                                      "int8-dynamic:32",
                                      "int8:32-dynamic",
                                      "int8,,int4:32",
                                      "int8,",
                                      ",int8",
                                      "int8 int4:32"}) {
    EXPECT_THROW((void)parse_formats(text), UsageError) << text;
  }
  EXPECT_NE(refusal("int8,int5:32").find("\"int5:32\""), std::string::npos) << refusal("int8,int5:32");
  EXPECT_NE(refusal("int5").find("int8, int8:B, int4:B, int8-dynamic and int8-static"), std::string::npos);
  EXPECT_NE(refusal("int4").find("int4:32"), std::string::npos) << refusal("int4");
  EXPECT_NE(refusal("int4").find("4 bits need a block"), std::string::npos) << refusal("int4");
}

TEST(Format, AListKeepsItsOrderAndRefusesRepetition) {
  const std::vector<Format> formats = parse_formats("int4:32,int8,int8-static");
  ASSERT_EQ(formats.size(), 3U);
  EXPECT_EQ(to_string(formats[0]), "int4:32");
  EXPECT_EQ(to_string(formats[2]), "int8-static");
  EXPECT_NE(refusal("int8,int4:32,int8").find("int8 is named twice"), std::string::npos);
}

TEST(Format, IsAKey) {
  std::map<Format, int> count;
  for (const Format& format : parse_formats("int8,int8:32,int4:32,int8-dynamic,int8-static")) ++count[format];
  EXPECT_EQ(count.size(), 5U);
}

TEST(Format, CombinationsWithoutANameAreRefused) {
  EXPECT_THROW(check(Format{4, 0, ActivationRounding::kept}), UsageError);
  EXPECT_THROW(check(Format{8, 24, ActivationRounding::kept}), UsageError);
  EXPECT_THROW(check(Format{5, 32, ActivationRounding::kept}), UsageError);
  EXPECT_THROW(check(Format{4, 32, ActivationRounding::dynamic_u8}), UsageError);
  EXPECT_THROW(check(Format{8, -32, ActivationRounding::kept}), UsageError);
}

TEST(Format, CountsBitsWithScalesAndFill) {
  EXPECT_DOUBLE_EQ(bits_per_weight(parse_format("int4:32"), 1024), 4.5);
  EXPECT_DOUBLE_EQ(bits_per_weight(parse_format("int4:32"), 1024, 32), 5.0);
  EXPECT_DOUBLE_EQ(bits_per_weight(parse_format("int8:128"), 1024), 8.125);
  EXPECT_DOUBLE_EQ(bits_per_weight(parse_format("int8"), 64), 8.25);
  EXPECT_DOUBLE_EQ(bits_per_weight(parse_format("int8-static"), 64), 8.25);
  EXPECT_DOUBLE_EQ(bits_per_weight(parse_format("int4:32"), 33), (64 * 4 + 2 * 16) / 33.0);
  EXPECT_THROW((void)bits_per_weight(parse_format("int8"), 0), UsageError);
}

}  // namespace
}  // namespace qvl
