#include "verify/stage_compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "verify/outputs.h"

namespace qvl {
namespace {

constexpr std::array kRowNames{"time", "height", "width"};

}  // namespace

RgbImage picture_of(const Tensor& tensor) {
  RgbImage image({tensor.shape()[0], tensor.shape()[1]});
  std::ranges::copy(tensor.as<std::uint8_t>(), image.pixels().begin());
  return image;
}

Check compare_rows(std::span<const float> found, std::span<const float> expected, double bar,
                   std::int64_t width) {
  if (expected.empty()) return skipped("the golden has no row to compare");
  const Difference d = difference_of(found, expected);
  const auto columns = static_cast<std::size_t>(width);
  std::string detail = fmt::format("{} rows of {}", expected.size() / columns, width);
  if (found.size() != expected.size()) {
    detail = fmt::format("{} numbers; {} are expected", found.size(), expected.size());
  } else if (!(d.relative <= bar)) {
    detail += fmt::format("; farthest apart in row {} of them, column {}: {}; {} is expected",
                          d.at / columns + 1, d.at % columns, found[d.at], expected[d.at]);
  }
  return within(d.relative, bar, detail);
}

Check compare_pixels(const RgbImage& found, const RgbImage& expected) {
  const auto a = found.pixels();
  const auto b = expected.pixels();
  std::size_t differing = 0;
  std::size_t first = 0;
  for (std::size_t k = a.size(); k-- > 0;) {
    if (a[k] == b[k]) continue;
    ++differing;
    first = k;
  }
  if (differing == 0) {
    Check check = passed(fmt::format("{} x {} pixels are equal", found.width(), found.height()));
    check.bytes = a.size();
    return check;
  }
  const auto pixel = static_cast<std::int64_t>(first) / RgbImage::kChannels;
  return failed(fmt::format("{} of {} values differ, first at row {}, column {}: {}; {} is expected",
                            differing, a.size(), pixel / found.width(), pixel % found.width(), a[first],
                            b[first]));
}

Check compare_ids(std::span<const TokenIds> found, const TokenBatch& batch) {
  if (static_cast<std::int64_t>(found.size()) != batch.batch())
    return failed(fmt::format("{} prompts for {} rows of ids", found.size(), batch.batch()));
  for (std::size_t row = 0; row < found.size(); ++row) {
    TokenIds expected;
    for (const std::int64_t place : batch.tokens_of(static_cast<std::int64_t>(row)))
      expected.push_back(batch.ids.as<std::int64_t>()[static_cast<std::size_t>(place)]);
    if (found[row] == expected) continue;
    const auto parted = std::ranges::mismatch(found[row], expected).in1 - found[row].begin();
    return failed(fmt::format("prompt {} has {} ids; {} are expected; they part at number {}", row + 1,
                              found[row].size(), expected.size(), parted + 1));
  }
  return passed(fmt::format("the ids of {} prompts are equal", found.size()));
}

Check compare_positions(const TokenBatch& batch, const PositionValues& positions,
                        std::span<const TensorView> outputs, const Tensor& expected) {
  const std::vector<std::int64_t> places = batch.tokens();
  const auto row_size = static_cast<std::size_t>(batch.batch() * batch.length());
  std::size_t compared = 0;
  for (std::size_t p = 0; p < positions.found.size(); ++p) {
    if (outputs[p].dtype != DType::i64 || outputs[p].bytes.size() != row_size * sizeof(std::int64_t))
      return failed("the graph's positions are not one number a token");
    std::vector<std::int64_t> found(row_size);
    std::memcpy(found.data(), outputs[p].bytes.data(), outputs[p].bytes.size());
    for (const std::size_t row : positions.found[p].rows) {
      ++compared;
      for (const std::int64_t place : places) {
        const std::int64_t ours = found[static_cast<std::size_t>(place)];
        const std::int64_t theirs =
            expected.as<std::int64_t>()[row * row_size + static_cast<std::size_t>(place)];
        if (ours == theirs) continue;
        return failed(fmt::format("{} of the token at place {} of row {} is {}; {} is expected",
                                  kRowNames[row], place % batch.length(), place / batch.length(), ours,
                                  theirs));
      }
    }
  }
  std::string missing;
  for (const std::size_t row : positions.missing) {
    missing += fmt::format("{}{}", missing.empty() ? "" : ", ", kRowNames[row]);
  }
  if (!missing.empty() || compared == 0) {
    return skipped(fmt::format("the graph has no values that are known to be its positions{}{}",
                               missing.empty() ? "" : " of ", missing));
  }
  return passed(fmt::format("{} positions of {} tokens are equal", compared, places.size()));
}

Check compare_logits(const TokenBatch& batch, const TensorView& logits, const Tensor& expected,
                     std::int64_t prompt, double bar) {
  const std::int64_t kept = expected.shape()[1];
  const std::int64_t vocab = expected.shape()[2];
  std::vector<std::int64_t> ours;
  std::vector<std::int64_t> theirs;
  for (std::int64_t row = 0; row < batch.batch(); ++row) {
    for (std::int64_t k = 0; k < kept; ++k) {
      const std::int64_t place = row * batch.length() + prompt - kept + k;
      if (batch.mask.as<std::int64_t>()[static_cast<std::size_t>(place)] == 0) continue;
      ours.push_back(place);
      theirs.push_back(row * kept + k);
    }
  }
  return compare_rows(rows_of(logits, vocab, ours), rows_of(expected.view(), vocab, theirs), bar, vocab);
}

Check compare_answer(const TensorView& logits, const Tensor& answer, const Tensor* gaps, float least_gap) {
  const auto ids = answer.as<std::int64_t>();
  if (logits.shape.size() != 3) throw InputError("the logits have not three dimensions");
  const std::int64_t length = logits.shape[1];
  const std::int64_t vocab = logits.shape[2];
  std::size_t sure = 0;
  for (std::size_t step = 0; step < ids.size(); ++step) {
    if (gaps != nullptr && !(gaps->as<float>()[step] > least_gap)) continue;
    ++sure;
    const std::vector<std::int64_t> place{length - static_cast<std::int64_t>(ids.size() - step) - 1};
    const std::vector<float> row = rows_of(logits, vocab, place);
    const std::int64_t best = std::ranges::max_element(row) - row.begin();
    if (best != ids[step])
      return failed(fmt::format("token {} of the answer is {}; {} is expected", step + 1, best, ids[step]));
  }
  if (sure == 0) return skipped("the reference is not sure of any token of the answer");
  return passed(fmt::format("{} of {} tokens are equal; where the reference is not sure, they do not count",
                            sure, ids.size()));
}

}  // namespace qvl
