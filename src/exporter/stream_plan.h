// In which order, in which portions and through which buffers a model's external data file is written.
#pragma once

#include <cstdint>
#include <vector>

#include "folder/tensor_report.h"

namespace qvl {

struct StreamLimits {
  // A piece is turned, converted, hashed and written while it is in the second-level cache.
  std::int64_t piece_bytes = std::int64_t{1} << 20;
  // Most weights of the published sizes fit whole; of larger ones a row gives runs of some thousand bytes.
  std::int64_t window_bytes = std::int64_t{96} << 20;
  std::int64_t load_bytes = std::int64_t{4} << 20;
};

// Columns [first, first + columns) of a transposed tensor's matrix [rows, …] in the checkpoint, read into one
// of the plan's slots before they are turned.
struct StreamWindow {
  std::size_t tensor = 0;  // in the data file's order
  std::int64_t rows = 0;
  std::int64_t first = 0;
  std::int64_t columns = 0;
  std::int64_t all_columns = 0;
  std::size_t element_bytes = 0;  // in the checkpoint
  std::size_t slot = 0;
  std::int64_t portion_rows = 0;  // that one load task reads
  std::size_t loads = 0;          // how many load tasks there are
  std::size_t pieces = 0;         // how many pieces are made of it

  [[nodiscard]] std::uint64_t size_bytes() const noexcept {
    return static_cast<std::uint64_t>(rows * columns) * element_bytes;
  }
};

// A contiguous run of the data file; pieces follow each other without gaps.
struct StreamPiece {
  static constexpr std::size_t kNoWindow = ~std::size_t{0};

  std::size_t tensor = 0;
  std::size_t window = kNoWindow;  // of a transposed tensor
  std::int64_t first = 0;          // column of the window, or element of the tensor
  std::int64_t count = 0;          // columns or elements
  std::uint64_t offset_bytes = 0;  // in the file
  std::uint64_t size_bytes = 0;
  std::uint64_t zero_bytes = 0;  // between its end and the next piece: alignment
};

struct StreamTask {
  enum class Kind { load, piece };
  Kind kind = Kind::piece;
  std::size_t index = 0;    // of the window or the piece
  std::size_t portion = 0;  // of a load
};

// Every task depends on earlier tasks only: a piece on its window's loads and on the piece before it (whose
// bytes the checksum takes first), a load on the pieces of the window that had its slot before.
struct StreamPlan {
  static constexpr std::size_t kSlots = 2;

  std::vector<StreamWindow> windows;
  std::vector<StreamPiece> pieces;  // in the order of the file
  std::vector<StreamTask> tasks;
  std::uint64_t slot_bytes = 0;    // the largest window
  std::uint64_t turned_bytes = 0;  // the largest piece before its conversion, each thread has one
  std::uint64_t piece_bytes = 0;   // the largest piece, each thread has one
};

// `tensors` in the order of the file, which is `file_bytes` long.
[[nodiscard]] StreamPlan plan_stream(const std::vector<TensorReport>& tensors, std::uint64_t file_bytes,
                                     const StreamLimits& limits = {});

}  // namespace qvl
