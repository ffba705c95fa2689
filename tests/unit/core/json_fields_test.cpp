// The fields of JSON objects: what is read, and what is said of what is wrong.
#include "core/json_fields.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "qvl/error.h"

namespace qvl {
namespace {

constexpr std::string_view kText =
    R"({"name": "x", "on": true, "count": 3, "size": 0.5, "none": null, "list": [{"a": 1}, {"a": "b"}], "far": -2})";

// What `read` says of kText, the first problem or all.
std::string message_of(JsonErrors errors, const std::function<void(const JsonFields&)>& read,
                       JsonWording wording = JsonWording::path) {
  const Json json = parse_json(kText, "f.json");
  JsonProblems problems("f.json", errors, wording);
  try {
    read(JsonFields(json, problems));
    problems.throw_if_any();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(JsonFields, ReadsWhatIsThere) {
  const auto read = [](const JsonFields& fields) {
    EXPECT_EQ(fields.text("name"), "x");
    EXPECT_TRUE(fields.flag("on"));
    EXPECT_EQ(fields.count("count"), 3U);
    EXPECT_EQ(fields.count("count", 3), 3U);
    EXPECT_EQ(fields.whole("far", -2, 0), -2);
    EXPECT_EQ(fields.magnitude("size"), 0.5);
    EXPECT_TRUE(std::isnan(fields.number("none")));
    EXPECT_EQ(fields.optional_number("none"), std::nullopt);
    EXPECT_EQ(fields.optional_number("absent"), std::nullopt);
    EXPECT_TRUE(fields.mentions("none"));
    EXPECT_FALSE(fields.has("none"));
    EXPECT_FALSE(fields.optional_object("none"));
    EXPECT_TRUE(fields.object_or_empty("absent").json().empty());
    std::int64_t kept = 7;
    fields.read_int("absent", 0, 1, kept);
    EXPECT_EQ(kept, 7);
    fields.read_int("far", -2, 1, kept);
    EXPECT_EQ(kept, -2);
  };
  EXPECT_EQ(message_of(JsonErrors::first, read), "");
}

TEST(JsonFields, SaysTheFirstThingWithItsPlace) {
  const auto say = [](auto&& read) { return message_of(JsonErrors::first, read); };
  EXPECT_EQ(say([](const JsonFields& f) { (void)f.text("absent"); }), "f.json: absent is missing");
  EXPECT_EQ(say([](const JsonFields& f) { (void)f.text("count"); }),
            "f.json: count is 3; a string is expected");
  EXPECT_EQ(say([](const JsonFields& f) { (void)f.count("far"); }),
            "f.json: far is -2; a whole number, 0 or more is expected");
  EXPECT_EQ(say([](const JsonFields& f) { (void)f.whole("count", 4, 9); }),
            "f.json: count is 3; a whole number from 4 to 9 is expected");
  EXPECT_EQ(say([](const JsonFields& f) {
              f.each_object("list", [](const JsonFields& entry) { (void)entry.count("a", 5); });
            }),
            "f.json: list[1].a is \"b\"; a whole number from 0 to 5 is expected");
  EXPECT_EQ(say([](const JsonFields& f) { (void)f.member("k", f.at("list")).json(); }),
            "f.json: [\"k\"] is a list of 2; an object is expected");
  std::int64_t ignored = 0;
  EXPECT_EQ(say([&](const JsonFields& f) { f.read_int("name", 0, 1, ignored); }),
            "f.json: name is \"x\"; a whole number from 0 to 1 is expected");
  const Json list = Json::array();
  JsonProblems problems("f.json", JsonErrors::first);
  EXPECT_THROW(JsonFields(list, problems), InputError);
}

TEST(JsonFields, CollectsAllThatIsWrong) {
  const auto read = [](const JsonFields& fields) {
    std::int64_t number = 5;
    bool flag = true;
    std::string text = "kept";
    std::vector<std::int64_t> numbers{1};
    fields.read_int("name", 0, 9, number);
    fields.read_bool("count", flag);
    fields.read_optional("on", text);
    fields.read_ints("list", 0, 9, 4, numbers);
    fields.object_or_empty("size").problem("x", "is odd");
    EXPECT_EQ(number, 5);
    EXPECT_TRUE(flag);
    EXPECT_EQ(text, "kept");
    EXPECT_EQ(numbers.size(), 1U);
    EXPECT_EQ(fields.problems().count(), 6U);
  };
  EXPECT_EQ(message_of(JsonErrors::all, read),
            "f.json:\n  name is \"x\"; a whole number from 0 to 9 is expected"
            "\n  count is 3; true or false is expected\n  on is true; a text is expected"
            "\n  list[0] is an object; a whole number from 0 to 9 is expected"
            "\n  size is 0.5; an object is expected\n  size.x is odd");
  // What cannot go on says what was found before, too.
  const auto fail = [](const JsonFields& fields) {
    fields.problem("name", "is short");
    (void)fields.text("absent");
  };
  EXPECT_EQ(message_of(JsonErrors::all, fail), "f.json:\n  name is short\n  absent is missing");
}

TEST(JsonFields, SpeaksOfOwnersWhereAsked) {
  const auto say = [](auto&& read) { return message_of(JsonErrors::first, read, JsonWording::owner); };
  EXPECT_EQ(say([](const JsonFields& f) { (void)f.text("absent"); }), "f.json: the top level has no absent");
  EXPECT_EQ(say([](const JsonFields& f) {
              f.each_object("list", [](JsonFields entry) {
                entry.call("it");
                (void)entry.text("a");
              });
            }),
            "f.json: list[0] (\"it\") has the a 1; a string is expected");
  constexpr std::string_view kKnown[] = {"name", "on"};
  EXPECT_EQ(say([&](const JsonFields& f) { f.allow(kKnown); }),
            "f.json: the top level has the unknown key \"count\"; known are name, on");
}

}  // namespace
}  // namespace qvl
