#include "exporter/stream_plan.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "exporter/weight_stream.h"

namespace qvl {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

TensorReport tensor(Shape graph_shape, DType from, DType to, Transform transform, std::uint64_t offset) {
  TensorReport report;
  report.name = report.source = std::string("t");
  report.source_dtype = from;
  report.dtype = to;
  report.transform = transform;
  report.offset_bytes = offset;
  report.size_bytes = static_cast<std::uint64_t>(*element_count(graph_shape)) * size_bytes(to);
  report.shape = std::move(graph_shape);
  return report;
}

// A vector, a weight in stripes, a table; 4096-byte alignment between them.
std::vector<TensorReport> some_tensors() {
  return {tensor({100}, DType::bf16, DType::f32, Transform::none, 0),
          tensor({300, 1000}, DType::bf16, DType::f16, Transform::transpose, 4096),
          tensor({5000, 7}, DType::f32, DType::f16, Transform::none, 606208)};
}
constexpr std::uint64_t kFileBytes = 606208 + 69632 + 4096;
constexpr StreamLimits kSmall{8192, 250'000, 30'000};

TEST(StreamPlan, PiecesCoverTheFileInOrder) {
  const auto tensors = some_tensors();
  const StreamPlan plan = plan_stream(tensors, kFileBytes, kSmall);
  std::uint64_t at = 0;
  std::vector<std::uint64_t> written(tensors.size());
  for (const StreamPiece& piece : plan.pieces) {
    EXPECT_EQ(piece.offset_bytes, at);
    EXPECT_LE(piece.size_bytes, plan.piece_bytes);
    at += piece.size_bytes + piece.zero_bytes;
    written[piece.tensor] += piece.size_bytes;
  }
  EXPECT_EQ(at, kFileBytes);
  for (std::size_t i = 0; i < tensors.size(); ++i) EXPECT_EQ(written[i], tensors[i].size_bytes);
}

TEST(StreamPlan, WindowsCoverATransposedTensorOnceAndFitTheLimit) {
  const StreamPlan plan = plan_stream(some_tensors(), kFileBytes, kSmall);
  ASSERT_EQ(plan.windows.size(), 5U);  // 64 columns of 1000 rows each, the last one 44
  std::int64_t column = 0;
  for (const StreamWindow& w : plan.windows) {
    EXPECT_EQ(w.first, column);
    EXPECT_EQ(w.rows, 1000);
    EXPECT_EQ(w.all_columns, 300);
    EXPECT_LE(w.size_bytes(), 250'000U);
    column += w.columns;
  }
  EXPECT_EQ(column, 300);
}

// What keeps the workers from waiting for each other for ever.
TEST(StreamPlan, EveryTaskDependsOnEarlierOnes) {
  const StreamPlan plan = plan_stream(some_tensors(), kFileBytes, kSmall);
  std::vector<std::size_t> loads(plan.windows.size());
  std::vector<std::size_t> pieces(plan.windows.size());
  std::size_t next_piece = 0;
  for (const StreamTask& task : plan.tasks) {
    if (task.kind == StreamTask::Kind::load) {
      ++loads[task.index];
      if (task.index >= StreamPlan::kSlots) {
        const std::size_t before = task.index - StreamPlan::kSlots;
        EXPECT_EQ(plan.windows[before].slot, plan.windows[task.index].slot);
        EXPECT_EQ(pieces[before], plan.windows[before].pieces);
      }
      continue;
    }
    EXPECT_EQ(task.index, next_piece++);
    const std::size_t window = plan.pieces[task.index].window;
    if (window == StreamPiece::kNoWindow) continue;
    EXPECT_EQ(loads[window], plan.windows[window].loads);
    ++pieces[window];
  }
  EXPECT_EQ(next_piece, plan.pieces.size());
}

// The largest tensors of the 72B, an untied head and a projection, and a head of absurd length; from float32
// to float32, by eight threads.
TEST(StreamPlan, BuffersStayBelowTheBarForTheLargestTensors) {
  for (const Shape& shape :
       {Shape{8192, 152064}, Shape{8192, 29568}, Shape{29568, 8192}, Shape{192, 600000}}) {
    const std::vector<TensorReport> one{tensor(shape, DType::f32, DType::f32, Transform::transpose, 0)};
    const StreamPlan plan = plan_stream(one, one.front().size_bytes);
    EXPECT_LT(stream_buffer_bytes(plan, 8), 400 * kMiB) << to_string(shape);
    EXPECT_GT(plan.windows.size(), 1U);
  }
}

}  // namespace
}  // namespace qvl
