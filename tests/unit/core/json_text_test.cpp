#include "core/json_text.h"

#include <gtest/gtest.h>

#include "qvl/error.h"

namespace qvl {
namespace {

TEST(JsonText, ParsesAndNamesTheSourceInErrors) {
  EXPECT_EQ(parse_json(R"({"a": [1, "\"]["]})", "x")["a"][0], 1);
  try {
    (void)parse_json("{\"a\": }", "config.json");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("config.json"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("line 1"), std::string::npos);
  }
}

TEST(JsonText, RefusesDeepNesting) {
  EXPECT_NO_THROW((void)parse_json(std::string(200, '[') + std::string(200, ']'), "x"));
  EXPECT_THROW((void)parse_json(std::string(100000, '['), "x"), InputError);
}

TEST(JsonText, RefusesAMissingFile) { EXPECT_THROW((void)read_json_file("/none/config.json"), InputError); }

}  // namespace
}  // namespace qvl
