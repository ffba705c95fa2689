// What the rows of a sample's tensors stand for.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace qvl {

// Which kind of token a row of a tensor belongs to.
enum class RowKind : std::uint8_t { other, picture, text };

// Where the output's rows are logits of next tokens: which rows count, and which tokens the answer wants
// there (empty: none is known).
struct AnswerRows {
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> tokens;
  // How many rows they were chosen from, before the output was seen: where it has another number, none is a
  // token's own, and all of them count.
  std::optional<std::int64_t> among = std::nullopt;
};

}  // namespace qvl
