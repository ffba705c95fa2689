#include "exporter/stream_plan.h"

#include <algorithm>

namespace qvl {
namespace {

// Of a column stripe: a piece reads whole cache lines of each row, or half ones, while it stays below
// kMostPieceBytes; of longer columns as many as do.
constexpr std::int64_t kLineColumns = 64;
constexpr std::int64_t kHalfLineColumns = 16;
constexpr std::int64_t kMostPieceBytes = std::int64_t{8} << 20;

std::int64_t least_columns(std::int64_t column_bytes) {
  const std::int64_t most = std::max<std::int64_t>(1, kMostPieceBytes / column_bytes);
  if (most >= kLineColumns) return kLineColumns;
  return most >= kHalfLineColumns ? kHalfLineColumns : most;
}

class Planner {
 public:
  Planner(const std::vector<TensorReport>& tensors, std::uint64_t file_bytes, const StreamLimits& limits)
      : tensors_(tensors), limits_(limits) {
    for (std::size_t i = 0; i < tensors_.size(); ++i) add_tensor(i);
    fill_gaps(file_bytes);
    order_tasks();
  }

  StreamPlan take() { return std::move(plan_); }

 private:
  void add_tensor(std::size_t i) {
    const TensorReport& tensor = tensors_[i];
    const std::int64_t elements = *element_count(tensor.shape);
    if (tensor.transform == Transform::none) {
      add_plain(i, elements);
    } else {
      // The graph has it as [columns, rows].
      const std::int64_t rows = tensor.shape.back();
      add_transposed(i, rows, elements / rows);
    }
  }

  void add_plain(std::size_t i, std::int64_t elements) {
    const auto bytes = static_cast<std::int64_t>(size_bytes(tensors_[i].dtype));
    const std::int64_t step = std::max<std::int64_t>(1, limits_.piece_bytes / bytes);
    for (std::int64_t first = 0; first < elements; first += step)
      add_piece(i, StreamPiece::kNoWindow, first, first, std::min(step, elements - first), 1);
  }

  void add_transposed(std::size_t i, std::int64_t rows, std::int64_t columns) {
    const auto from_bytes = static_cast<std::int64_t>(size_bytes(tensors_[i].source_dtype));
    const auto to_bytes = static_cast<std::int64_t>(size_bytes(tensors_[i].dtype));
    const std::int64_t least = least_columns(rows * std::max(from_bytes, to_bytes));
    const auto whole = [least](std::int64_t count) { return std::max(least, count / least * least); };
    const std::int64_t step = whole(limits_.piece_bytes / (rows * std::max(from_bytes, to_bytes)));
    const std::int64_t stripe = std::min(columns, whole(limits_.window_bytes / (rows * from_bytes)));
    for (std::int64_t first = 0; first < columns; first += stripe) {
      StreamWindow window;
      window.tensor = i;
      window.rows = rows;
      window.first = first;
      window.columns = std::min(stripe, columns - first);
      window.all_columns = columns;
      window.element_bytes = static_cast<std::size_t>(from_bytes);
      window.slot = plan_.windows.size() % StreamPlan::kSlots;
      window.portion_rows =
          std::clamp<std::int64_t>(limits_.load_bytes / (window.columns * from_bytes), 1, rows);
      window.loads = static_cast<std::size_t>((rows + window.portion_rows - 1) / window.portion_rows);
      for (std::int64_t c = 0; c < window.columns; c += step) {
        add_piece(i, plan_.windows.size(), c, first + c, std::min(step, window.columns - c), rows);
        ++window.pieces;
      }
      plan_.slot_bytes = std::max(plan_.slot_bytes, window.size_bytes());
      plan_.windows.push_back(window);
    }
  }

  // `place` counts what the file has before the piece, in runs of `run` elements.
  void add_piece(std::size_t i, std::size_t window, std::int64_t first, std::int64_t place,
                 std::int64_t count, std::int64_t run) {
    const std::uint64_t to_bytes = size_bytes(tensors_[i].dtype);
    StreamPiece piece{i,
                      window,
                      first,
                      count,
                      tensors_[i].offset_bytes + static_cast<std::uint64_t>(place * run) * to_bytes,
                      static_cast<std::uint64_t>(count * run) * to_bytes,
                      0};
    plan_.piece_bytes = std::max(plan_.piece_bytes, piece.size_bytes);
    plan_.turned_bytes = std::max(
        plan_.turned_bytes, static_cast<std::uint64_t>(count * run) * size_bytes(tensors_[i].source_dtype));
    plan_.pieces.push_back(piece);
  }

  void fill_gaps(std::uint64_t file_bytes) {
    for (std::size_t i = 0; i < plan_.pieces.size(); ++i) {
      StreamPiece& piece = plan_.pieces[i];
      const std::uint64_t next = i + 1 < plan_.pieces.size() ? plan_.pieces[i + 1].offset_bytes : file_bytes;
      piece.zero_bytes = next - piece.offset_bytes - piece.size_bytes;
    }
  }

  // The loads of a window stand before the pieces of the window before it, so that reading and writing go on
  // at the same time.
  void order_tasks() {
    std::size_t loaded = 0;
    const auto load = [&](std::size_t windows) {
      for (; loaded < std::min(windows, plan_.windows.size()); ++loaded) {
        for (std::size_t portion = 0; portion < plan_.windows[loaded].loads; ++portion)
          plan_.tasks.push_back({StreamTask::Kind::load, loaded, portion});
      }
    };
    for (std::size_t i = 0; i < plan_.pieces.size(); ++i) {
      const std::size_t window = plan_.pieces[i].window;
      if (window != StreamPiece::kNoWindow) load(window + StreamPlan::kSlots);
      plan_.tasks.push_back({StreamTask::Kind::piece, i, 0});
    }
  }

  const std::vector<TensorReport>& tensors_;
  const StreamLimits& limits_;
  StreamPlan plan_;
};

}  // namespace

StreamPlan plan_stream(const std::vector<TensorReport>& tensors, std::uint64_t file_bytes,
                       const StreamLimits& limits) {
  return Planner(tensors, file_bytes, limits).take();
}

}  // namespace qvl
