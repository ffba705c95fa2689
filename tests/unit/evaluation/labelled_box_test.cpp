#include "evaluation/labelled_box.h"

#include <gtest/gtest.h>

#include "qvl/error.h"
#include "support/error_text.h"

namespace qvl {
namespace {

using test::contains;
using test::input_error;

std::string labels(const std::vector<LabelledBox>& boxes) {
  std::string all;
  for (const LabelledBox& box : boxes) all += (all.empty() ? "" : ",") + box.label;
  return all;
}

LabelledBox box(double x1, double y1, double x2, double y2, const std::string& label = "cat") {
  return {label, x1, y1, x2, y2};
}

TEST(BoxesInAnswer, AsTheModelWritesThem) {
  const auto boxes = boxes_in_answer(
      "```json\n[\n\t{\"bbox_2d\": [13, 13, 210, 219], \"label\": \"red circle\"},\n"
      "\t{\"bbox_2d\": [498.5, -39, 6e2, 171], \"label\": \"purple circle\"}\n]\n```");
  ASSERT_EQ(boxes.size(), 2U);
  EXPECT_EQ(boxes[0].label, "red circle");
  EXPECT_EQ(boxes[0].x1, 13);
  EXPECT_EQ(boxes[0].y1, 13);
  EXPECT_EQ(boxes[0].x2, 210);
  EXPECT_EQ(boxes[0].y2, 219);
  EXPECT_EQ(boxes[1].x1, 498.5);
  EXPECT_EQ(boxes[1].y1, -39);
  EXPECT_EQ(boxes[1].x2, 600);
}

TEST(BoxesInAnswer, WithAnythingAround) {
  const std::string a = R"({"label": "a", "bbox_2d": [1, 2, 3, 4], "score": {"x": 1}})";
  EXPECT_EQ(labels(boxes_in_answer("Here \"they are: " + a + " and " + a)), "a,a");
  EXPECT_EQ(labels(boxes_in_answer("{\"found\": [" + a + "]}")), "a");
  EXPECT_EQ(labels(boxes_in_answer("[" + a + ", {\"bbox_2d\": [1, 2, 3")), "a");  // cut off
  EXPECT_EQ(labels(boxes_in_answer("[{\"label\": \"b, \n" + a)), "a");            // a line that is broken
  EXPECT_EQ(labels(boxes_in_answer("}}}} " + a)), "a");
  EXPECT_EQ(labels(boxes_in_answer(R"({"label": "} \" {", "bbox_2d": [1, 2, 3, 4]})")), "} \" {");
}

TEST(BoxesInAnswer, OnlyWhole) {
  for (const char* text :
       {"", "{", "}", "{}", "[1, 2, 3, 4]", R"({"bbox_2d": [1, 2, 3, 4]})", R"({"label": "a"})",
        R"({"label": "a", "bbox_2d": [1, 2, 3]})", R"({"label": "a", "bbox_2d": [1, 2, 3, 4, 5]})",
        R"({"label": "a", "bbox_2d": [1, 2, 3, "4"]})", R"({"label": "a", "bbox_2d": [1, 2, 3, 1e999]})",
        R"({"label": 1, "bbox_2d": [1, 2, 3, 4]})", R"({"label": "a", "bbox_2d": "1234"})",
        R"({"label": "a", "bbox_2d": [1, 2, 3, 4],})", "{\"label\": \"\xFF\", \"bbox_2d\": [1, 2, 3, 4]}"})
    EXPECT_EQ(boxes_in_answer(text).size(), 0U) << text;
  const std::string long_label(5000, 'x');
  EXPECT_TRUE(boxes_in_answer(R"({"bbox_2d": [1, 2, 3, 4], "label": ")" + long_label + "\"}").empty());
}

// Neither deep nor long nonsense takes memory of the stack or much time.
TEST(BoxesInAnswer, SafeWithNonsense) {
  EXPECT_TRUE(boxes_in_answer(std::string(1 << 20, '{')).empty());
  EXPECT_TRUE(boxes_in_answer(std::string(1 << 20, '{') + std::string(1 << 20, '}')).empty());
  std::string nested;
  for (int i = 0; i < 100'000; ++i) nested += "{\"a\":[";
  EXPECT_TRUE(boxes_in_answer(nested).empty());
}

TEST(Boxes, OfTheData) {
  const auto boxes = parse_boxes(
      R"([{"bbox_2d": [1, 2, 3, 4], "label": "a", "other": 1}, {"bbox_2d": [0, 0, 9, 9.5], "label": "b"}])",
      "x");
  EXPECT_EQ(labels(boxes), "a,b");
  EXPECT_EQ(boxes[1].y2, 9.5);
  for (const char* text : {"{}", "[]", "3"})
    EXPECT_TRUE(contains(input_error([&] { (void)parse_boxes(text, "x:3"); }), "x:3: an array of")) << text;
  for (const char* bad :
       {"1", R"({"bbox_2d": [3, 2, 1, 4], "label": "a"})", R"({"bbox_2d": [1, 2, 1, 4], "label": "a"})",
        R"({"bbox_2d": [1, 2, 3], "label": "a"})", R"({"bbox_2d": [1, 2, 3, 4]})"}) {
    const std::string text = std::string(R"([{"bbox_2d": [1, 2, 3, 4], "label": "a"}, )") + bad + "]";
    EXPECT_TRUE(contains(input_error([&] { (void)parse_boxes(text, "x"); }), "x[1] is no box")) << bad;
  }
  EXPECT_NE(input_error([] { (void)parse_boxes("[", "x"); }), "");
}

TEST(Boxes, AreStretchedEachSideByItself) {
  const LabelledBox there = stretched(box(10, 20, 30, 40), {100, 200}, {300, 100});
  EXPECT_EQ(there.label, "cat");
  EXPECT_EQ(there.x1, 5);
  EXPECT_EQ(there.y1, 60);
  EXPECT_EQ(there.x2, 15);
  EXPECT_EQ(there.y2, 120);
}

TEST(Boxes, IntersectionOverUnion) {
  EXPECT_EQ(intersection_over_union(box(0, 0, 10, 10), box(0, 0, 10, 10)), 1);
  EXPECT_DOUBLE_EQ(intersection_over_union(box(0, 0, 10, 10), box(5, 0, 15, 10)), 1.0 / 3);
  EXPECT_DOUBLE_EQ(intersection_over_union(box(0, 0, 10, 10), box(2, 3, 7, 9)), 0.3);
  EXPECT_EQ(intersection_over_union(box(0, 0, 10, 10), box(10, 0, 20, 10)), 0);
  EXPECT_EQ(intersection_over_union(box(0, 0, 10, 10), box(30, 30, 40, 40)), 0);
  EXPECT_EQ(intersection_over_union(box(0, 0, 10, 10), box(10, 10, 0, 0)), 0);  // corners swapped
  EXPECT_EQ(intersection_over_union(box(5, 5, 5, 5), box(5, 5, 5, 5)), 0);
}

TEST(Boxes, EachIsFoundOnce) {
  const std::vector<LabelledBox> wanted{box(0, 0, 10, 10, "a"), box(20, 0, 30, 10, "b")};
  const auto found = [&](const std::vector<LabelledBox>& boxes) { return all_found(wanted, boxes); };
  EXPECT_TRUE(found({box(21, 0, 30, 10, "b"), box(0, 0, 10, 9, "a"), box(50, 50, 60, 60, "a")}));
  EXPECT_TRUE(found({box(0, 0, 10, 5, "a"), box(20, 0, 30, 10, "b")}));     // 0.5 is enough
  EXPECT_FALSE(found({box(0, 0, 10, 4.9, "a"), box(20, 0, 30, 10, "b")}));  // less is not
  EXPECT_FALSE(found({box(0, 0, 10, 10, "b"), box(20, 0, 30, 10, "a")}));
  EXPECT_FALSE(found({box(0, 0, 10, 10, "a")}));
  EXPECT_FALSE(found({}));
  EXPECT_TRUE(all_found({}, {}));
}

// One box does not do for two, and a box that would do for either goes to the one that has no other.
TEST(Boxes, OfOneLabelAreMatched) {
  const std::vector<LabelledBox> wanted{box(0, 0, 10, 10), box(2, 0, 12, 10)};
  EXPECT_FALSE(all_found(wanted, std::vector<LabelledBox>{box(1, 0, 11, 10)}));
  const std::vector<LabelledBox> found{box(1, 0, 11, 10), box(-3, 0, 7, 10)};
  ASSERT_GE(intersection_over_union(wanted[0], found[0]), 0.5);
  ASSERT_GE(intersection_over_union(wanted[0], found[1]), 0.5);
  ASSERT_GE(intersection_over_union(wanted[1], found[0]), 0.5);
  ASSERT_LT(intersection_over_union(wanted[1], found[1]), 0.5);
  EXPECT_TRUE(all_found(wanted, found));
}

}  // namespace
}  // namespace qvl
