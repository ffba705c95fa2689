// What single stages are found to be, from numbers made by hand.
#include "verify/stage_compare.h"

#include <gtest/gtest.h>

#include "qvl/error.h"
#include "verify/outputs.h"

namespace qvl {
namespace {

Tensor floats(const Shape& shape, const std::vector<float>& values) {
  return Tensor::of<float>(DType::f32, shape, values);
}

Tensor integers(const Shape& shape, const std::vector<std::int64_t>& values) {
  return Tensor::of<std::int64_t>(DType::i64, shape, values);
}

TEST(RowsOf, TakesRowsInTheOrderAskedFor) {
  const Tensor tensor = floats({3, 2}, {0, 1, 2, 3, 4, 5});
  EXPECT_EQ(rows_of(tensor.view(), 2, std::vector<std::int64_t>{2, 0}), (std::vector<float>{4, 5, 0, 1}));
  EXPECT_EQ(rows_of(tensor.view(), 2, {}), std::vector<float>());
}

// A graph of another producer gives out what it likes.
TEST(RowsOf, RowsThatAreNotThereAreAnInputError) {
  const Tensor tensor = floats({3, 2}, {0, 1, 2, 3, 4, 5});
  for (const std::int64_t row : {-1, 3, 1'000'000'000})
    EXPECT_THROW((void)rows_of(tensor.view(), 2, std::vector<std::int64_t>{0, row}), InputError) << row;
  EXPECT_THROW((void)rows_of(tensor.view(), 4, std::vector<std::int64_t>{1}), InputError);
  EXPECT_THROW((void)rows_of(floats({0, 2}, {}).view(), 2, std::vector<std::int64_t>{0}), InputError);
  EXPECT_THROW((void)rows_of(tensor.view(), 0, std::vector<std::int64_t>{0}), InputError);
}

TEST(CompareRows, WithoutRowsNothingIsCompared) {
  EXPECT_EQ(compare_rows({}, {}, 1, 4).status, CheckStatus::skipped);
  const std::vector<float> two{1, 2};
  EXPECT_EQ(compare_rows({}, two, 1, 2).status, CheckStatus::failed);
  EXPECT_EQ(compare_rows(two, two, 0, 2).status, CheckStatus::passed);
}

TEST(CompareIds, PromptsAndRowsAreAsMany) {
  const TokenBatch batch{integers({2, 2}, {5, 6, 7, 0}), integers({2, 2}, {1, 1, 1, 0})};
  const std::vector<TokenIds> both{{5, 6}, {7}};
  EXPECT_EQ(compare_ids(both, batch).status, CheckStatus::passed);
  EXPECT_EQ(compare_ids(std::span(both).first(1), batch).status, CheckStatus::failed);
  EXPECT_EQ(compare_ids(std::vector<TokenIds>{{5, 6}, {7}, {8}}, batch).status, CheckStatus::failed);
}

class ComparePositions : public testing::Test {
 protected:
  [[nodiscard]] Check compare(const Tensor& output,
                              const PositionValues& positions = {{{"p", {0, 1, 2}}}, {}}) const {
    return compare_positions(batch_, positions, std::vector<TensorView>{output.view()}, expected_);
  }

  const TokenBatch batch_{integers({1, 3}, {5, 6, 0}), integers({1, 3}, {1, 1, 0})};
  const Tensor expected_ = integers({3, 1, 3}, {0, 1, 9, 0, 1, 9, 0, 1, 9});
};

TEST_F(ComparePositions, AreEqualAtTokens) {
  EXPECT_EQ(compare(integers({1, 3}, {0, 1, 7})).status, CheckStatus::passed);
  EXPECT_NE(compare(integers({1, 3}, {0, 2, 9})).detail.find("time of the token at place 1 of row 0 is 2"),
            std::string::npos);
}

TEST_F(ComparePositions, OfAnotherShapeFail) {
  EXPECT_EQ(compare(integers({1, 2}, {0, 1})).status, CheckStatus::failed);
  EXPECT_EQ(compare(integers({3, 1, 3}, {0, 1, 9, 0, 1, 9, 0, 1, 9})).status, CheckStatus::failed);
  EXPECT_EQ(compare(Tensor(DType::i32, {1, 6})).status, CheckStatus::failed);
}

// Equal where they were found is not equal.
TEST_F(ComparePositions, OfWhichRowsWereNotFoundAreSkipped) {
  const PositionValues some{{{"p", {0}}}, {1, 2}};
  const Check equal = compare(integers({1, 3}, {0, 1, 7}), some);
  EXPECT_EQ(equal.status, CheckStatus::skipped);
  EXPECT_NE(equal.detail.find("of height, width"), std::string::npos) << equal.detail;
  EXPECT_EQ(compare(integers({1, 3}, {0, 2, 7}), some).status, CheckStatus::failed);
  EXPECT_EQ(compare_positions(batch_, {}, {}, expected_).status, CheckStatus::skipped);
}

TEST(CompareLogits, OfAnotherShapeAreAnInputError) {
  const TokenBatch batch{integers({1, 3}, {5, 6, 7}), integers({1, 3}, {1, 1, 1})};
  const Tensor expected = floats({1, 2, 2}, {0, 1, 2, 3});
  EXPECT_EQ(compare_logits(batch, floats({1, 3, 2}, {9, 9, 0, 1, 2, 3}).view(), expected, 3, 0).status,
            CheckStatus::passed);
  EXPECT_THROW((void)compare_logits(batch, floats({1, 2, 2}, {0, 1, 2, 3}).view(), expected, 3, 0),
               InputError);
}

class CompareAnswer : public testing::Test {
 protected:
  // The prompt has two tokens; the answer is 1, 0.
  const Tensor logits_ = floats({1, 4, 2}, {9, 0, 0, 9, 9, 0, 0, 9});
  const Tensor answer_ = integers({2}, {1, 0});
};

TEST_F(CompareAnswer, TokenForToken) {
  EXPECT_EQ(compare_answer(logits_.view(), answer_, nullptr, 0).status, CheckStatus::passed);
  const Tensor other = integers({2}, {1, 1});
  EXPECT_NE(compare_answer(logits_.view(), other, nullptr, 0).detail.find("token 2 of the answer is 0"),
            std::string::npos);
}

TEST_F(CompareAnswer, WhatTheReferenceIsNotSureOfDoesNotCount) {
  const Tensor other = integers({2}, {1, 1});
  const Tensor gaps = floats({2}, {0.5F, 0.01F});
  EXPECT_EQ(compare_answer(logits_.view(), other, &gaps, 0.05F).status, CheckStatus::passed);
}

TEST_F(CompareAnswer, OfWhichNoTokenIsSureIsSkipped) {
  const Tensor gaps = floats({2}, {0.05F, 0.01F});
  EXPECT_EQ(compare_answer(logits_.view(), answer_, &gaps, 0.05F).status, CheckStatus::skipped);
  EXPECT_EQ(compare_answer(logits_.view(), Tensor(DType::i64, {0}), nullptr, 0).status, CheckStatus::skipped);
}

TEST_F(CompareAnswer, LogitsOfAnotherShapeAreAnInputError) {
  EXPECT_THROW((void)compare_answer(floats({4, 2}, std::vector<float>(8)).view(), answer_, nullptr, 0),
               InputError);
  EXPECT_THROW((void)compare_answer(floats({1, 1, 2}, {0, 9}).view(), answer_, nullptr, 0), InputError);
}

}  // namespace
}  // namespace qvl
