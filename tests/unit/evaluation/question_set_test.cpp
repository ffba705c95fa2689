#include "evaluation/question_set.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/json_text.h"
#include "image/decode.h"
#include "support/error_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::contains;
using test::input_error;

TEST(QuestionSet, TheEvaluationChats) {
  const QuestionSet set = read_questions(test::data("shapes-data/evaluation.jsonl"), 0);
  EXPECT_EQ(set.name, "evaluation.jsonl");
  EXPECT_EQ(set.questions.size(), 77U);
  EXPECT_EQ(set.known, 77U);
  EXPECT_EQ(set.pictures.size(), 77U);
  std::size_t with_boxes = 0;
  for (const EvaluationQuestion& question : set.questions) {
    EXPECT_NE(question.answer.has_value(), !question.boxes.empty()) << question.name;
    with_boxes += question.boxes.empty() ? 0U : 1U;
  }
  EXPECT_EQ(with_boxes, 6U);
  const EvaluationQuestion& boxes = set.questions[13];
  EXPECT_EQ(boxes.name, "evaluation.jsonl:14");
  ASSERT_EQ(boxes.boxes.size(), 2U);
  EXPECT_EQ(boxes.boxes[1].label, "purple circle");
  EXPECT_EQ(boxes.boxes[1].x1, 248);
  EXPECT_EQ(read_questions(test::data("shapes-data/evaluation.jsonl"), 14).known, 14U);
}

// What the reference implementation answers at 672x672, by the rules of `exact`: 70 of 77
// (shapes-data/README.md has where its answers come from).
TEST(QuestionSet, TheReferenceAnswersSeventy) {
  const QuestionSet set = read_questions(test::data("shapes-data/evaluation.jsonl"), 0);
  std::ifstream file(test::data("shapes-data/evaluation.jsonl"));
  std::size_t texts = 0;
  std::size_t boxes = 0;
  for (const EvaluationQuestion& question : set.questions) {
    std::string line;
    std::getline(file, line);
    const auto answer = parse_json(line, "row")["reference"]["fixed_672"]["text"].get<std::string>();
    if (question.answer) {
      texts += answer == *question.answer ? 1U : 0U;
      continue;
    }
    const PixelSize size = set.pictures[question.pictures.front()].read().size();
    std::vector<LabelledBox> found = boxes_in_answer(answer);
    for (LabelledBox& box : found) box = stretched(box, {672, 672}, size);
    boxes += all_found(question.boxes, found) ? 1U : 0U;
  }
  EXPECT_EQ(texts, 66U);
  EXPECT_EQ(boxes, 4U);
}

class WrittenQuestions : public ::testing::Test {
 protected:
  [[nodiscard]] QuestionSet read(const std::string& rows) const {
    test::write_file(folder_.path() / "a.png", "");
    test::write_file(folder_.path() / "b.png", "");
    test::write_file(folder_.path() / "q.jsonl", rows);
    return read_questions(folder_.path() / "q.jsonl", 0);
  }
  static std::string row(const std::vector<std::string>& pictures, const std::string& more) {
    std::string parts;
    for (const std::string& picture : pictures)
      parts += R"({"type": "image", "image": ")" + picture + "\"}, ";
    return R"({"messages": [{"role": "user", "content": [)" + parts + R"({"type": "text", "text": "?"}]}])" +
           more + "}\n";
  }
  [[nodiscard]] std::string error_of(const std::string& rows) const {
    return input_error([&] { (void)read(rows); });
  }
  static constexpr const char* kBoxes = R"(, "boxes": [{"bbox_2d": [1, 2, 3, 4], "label": "cat"}])";

  const test::TemporaryFolder folder_;
};

TEST_F(WrittenQuestions, EachPictureOnce) {
  const QuestionSet set = read(row({"a.png"}, R"(, "answer": "")") + row({"b.png", "./a.png"}, "") +
                               row({}, R"(, "answer": null, "boxes": null)"));
  ASSERT_EQ(set.questions.size(), 3U);
  EXPECT_EQ(set.pictures.size(), 2U);
  EXPECT_EQ(set.questions[1].pictures, (std::vector<std::size_t>{1, 0}));
  EXPECT_TRUE(set.questions[0].known());  // to say nothing is an answer
  EXPECT_FALSE(set.questions[1].known());
  EXPECT_FALSE(set.questions[2].known());
  EXPECT_EQ(set.known, 1U);
}

TEST_F(WrittenQuestions, RefusesWhatCannotBeScored) {
  EXPECT_EQ(error_of(row({"a.png"}, kBoxes)), "");
  EXPECT_TRUE(contains(error_of(row({"a.png"}, R"(, "answer": "x", "boxes": [{}])")),
                       "q.jsonl:1 has an answer and boxes"));
  EXPECT_TRUE(contains(error_of(row({}, kBoxes)), "q.jsonl:1 has boxes and 0 pictures"));
  EXPECT_TRUE(contains(error_of(row({"a.png", "b.png"}, kBoxes)), "boxes and 2 pictures"));
  EXPECT_TRUE(contains(error_of(row({"a.png"}, R"(, "boxes": [])")), "q.jsonl:1: boxes: an array"));
  EXPECT_TRUE(contains(error_of(row({"a.png"}, R"(, "boxes": [{"label": "cat"}])")), "boxes[0] is no box"));
  EXPECT_TRUE(contains(error_of(row({"c.png"}, "")), "c.png"));
  EXPECT_TRUE(contains(error_of("\n"), "no sample"));
}

}  // namespace
}  // namespace qvl
