#include "sensitivity/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "qvl/error.h"

namespace qvl {
namespace {

std::span<const float> floats(const TensorView& tensor) {
  return {reinterpret_cast<const float*>(tensor.bytes.data()), tensor.bytes.size() / sizeof(float)};
}

// Eight sums side by side, added in one order whatever the compiler makes of it.
constexpr std::size_t kLanes = 8;

double add_up(const std::array<double, kLanes>& sums) {
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

double squared_distance(std::span<const float> a, std::span<const float> b) {
  std::array<double, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= a.size(); i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      const double d = static_cast<double>(b[i + l]) - static_cast<double>(a[i + l]);
      sums[l] += d * d;
    }
  }
  for (; i < a.size(); ++i) {
    const double d = static_cast<double>(b[i]) - static_cast<double>(a[i]);
    sums[0] += d * d;
  }
  return add_up(sums);
}

double product(std::span<const float> a, std::span<const float> b) {
  std::array<double, kLanes> sums{};
  std::size_t i = 0;
  for (; i + kLanes <= a.size(); i += kLanes) {
    for (std::size_t l = 0; l < kLanes; ++l)
      sums[l] += static_cast<double>(a[i + l]) * static_cast<double>(b[i + l]);
  }
  for (; i < a.size(); ++i) sums[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return add_up(sums);
}

void require_same_shape(const TensorView& a, const TensorView& b) {
  if (a.dtype != DType::f32 || b.dtype != DType::f32 || a.shape != b.shape) {
    throw InputError("a quantized value has another type or shape than the unquantized one: " +
                     to_string(a.shape) + " and " + to_string(b.shape) + "; F32 of one shape is expected");
  }
}

struct LogSoftmax {
  std::vector<double> values;
  std::int64_t best = 0;

  explicit LogSoftmax(std::span<const float> logits) : values(logits.begin(), logits.end()) {
    best = std::max_element(values.begin(), values.end()) - values.begin();
    const double most = values[static_cast<std::size_t>(best)];
    double sum = 0;
    for (const double v : values) sum += std::exp(v - most);
    const double shift = most + std::log(sum);
    for (double& v : values) v -= shift;
  }
};

double divergence(const LogSoftmax& p, const LogSoftmax& q) {
  double sum = 0;
  for (std::size_t i = 0; i < p.values.size(); ++i) {
    if (std::isinf(p.values[i])) continue;  // a token that cannot come
    sum += std::exp(p.values[i]) * (p.values[i] - q.values[i]);
  }
  return std::max(sum, 0.0);
}

std::vector<std::int64_t> rows_of(const AnswerRows& answer, std::size_t count) {
  if (!answer.among || *answer.among == static_cast<std::int64_t>(count)) return answer.rows;
  std::vector<std::int64_t> all(count);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

double percentile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const double part = place - static_cast<double>(below);
  if (part == 0) return sorted[below];
  return sorted[below] + part * (sorted[below + 1] - sorted[below]);
}

double root_ratio(double difference, double plain) { return plain > 0 ? std::sqrt(difference / plain) : 0; }

}  // namespace

std::array<double, LocalSums::kNumbers> LocalSums::numbers() const {
  return {difference,         plain,         quantized,       product,
          picture_difference, picture_plain, text_difference, text_plain};
}

LocalSums LocalSums::of(std::span<const double> n) {
  if (n.size() != kNumbers) throw InputError("a stored measurement of a unit's error is not of 8 numbers");
  return {n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]};
}

LocalSums& LocalSums::operator+=(const LocalSums& o) {
  difference += o.difference;
  plain += o.plain;
  quantized += o.quantized;
  product += o.product;
  picture_difference += o.picture_difference;
  picture_plain += o.picture_plain;
  text_difference += o.text_difference;
  text_plain += o.text_plain;
  return *this;
}

LocalError LocalSums::error() const {
  constexpr double kMostDb = 400;  // no error at all
  LocalError error;
  error.relative_error = root_ratio(difference, plain);
  error.sqnr_db =
      error.relative_error > 0 ? std::min(kMostDb, -20 * std::log10(error.relative_error)) : kMostDb;
  const double norms = std::sqrt(plain) * std::sqrt(quantized);
  error.cosine = norms > 0 ? product / norms : 1;
  if (picture_plain > 0) error.picture_relative_error = root_ratio(picture_difference, picture_plain);
  if (text_plain > 0) error.text_relative_error = root_ratio(text_difference, text_plain);
  return error;
}

LocalSums local_sums(const TensorView& plain, const TensorView& quantized, std::span<const RowKind> rows) {
  const std::span<const float> a = floats(plain);
  const std::span<const float> b = floats(quantized);
  LocalSums sums;
  if (plain.shape != quantized.shape) {
    sums.plain = product(a, a);
    sums.quantized = product(b, b);
    sums.difference = sums.plain + sums.quantized;
    return sums;
  }
  require_same_shape(plain, quantized);
  const std::size_t width = plain.shape.empty() ? 1 : static_cast<std::size_t>(plain.shape.back());
  if (rows.empty() || width == 0 || a.size() / width != rows.size()) {
    sums.difference = squared_distance(a, b);
    sums.plain = product(a, a);
    sums.quantized = product(b, b);
    sums.product = product(a, b);
    return sums;
  }
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const std::span<const float> x = a.subspan(r * width, width);
    const std::span<const float> y = b.subspan(r * width, width);
    const double difference = squared_distance(x, y);
    const double norm = product(x, x);
    sums.difference += difference;
    sums.plain += norm;
    sums.quantized += product(y, y);
    sums.product += product(x, y);
    if (rows[r] == RowKind::picture) {
      sums.picture_difference += difference;
      sums.picture_plain += norm;
    } else if (rows[r] == RowKind::text) {
      sums.text_difference += difference;
      sums.text_plain += norm;
    }
  }
  return sums;
}

std::vector<double> OutputSums::numbers() const {
  std::vector<double> n;
  if (!others.empty()) n.push_back(-static_cast<double>(others.size()));
  for (const Other& other : others) n.insert(n.end(), {other.squared_error, other.elements});
  n.insert(n.end(), {squared_error, elements, exact});
  n.insert(n.end(), kl.begin(), kl.end());
  n.insert(n.end(), same.begin(), same.end());
  return n;
}

// A number below 0 in front, which no squared error is, tells how many others there are.
OutputSums OutputSums::of(std::span<const double> n) {
  constexpr std::size_t kFixed = 3;
  std::vector<Other> others;
  if (!n.empty() && n.front() < 0) {
    const double count = -n.front();
    if (2 * count + 1 > static_cast<double>(n.size()))
      throw InputError("a stored measurement of an output's error has a wrong length");
    n = n.subspan(1);
    for (double i = 0; i < count; ++i, n = n.subspan(2)) others.push_back({n[0], n[1]});
  }
  if (n.size() < kFixed || (n.size() - kFixed) % 2 != 0)
    throw InputError("a stored measurement of an output's error has a wrong length");
  const std::size_t positions = (n.size() - kFixed) / 2;
  OutputSums sums{n[0], n[1], n[2], {}, {}, std::move(others)};
  sums.kl.assign(n.begin() + kFixed, n.begin() + static_cast<std::ptrdiff_t>(kFixed + positions));
  sums.same.assign(n.begin() + static_cast<std::ptrdiff_t>(kFixed + positions), n.end());
  return sums;
}

OutputSums output_sums(const TensorView& plain, const TensorView& quantized, const AnswerRows* answer) {
  require_same_shape(plain, quantized);
  const std::span<const float> a = floats(plain);
  const std::span<const float> b = floats(quantized);
  OutputSums sums;
  sums.squared_error = squared_distance(a, b);
  sums.elements = static_cast<double>(a.size());
  if (answer == nullptr || plain.shape.empty()) return sums;
  const auto width = static_cast<std::size_t>(plain.shape.back());
  const std::vector<std::int64_t> rows = rows_of(*answer, width == 0 ? 0 : a.size() / width);
  bool exact = !answer->tokens.empty();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t first = static_cast<std::size_t>(rows[i]) * width;
    const LogSoftmax p(a.subspan(first, width));
    const LogSoftmax q(b.subspan(first, width));
    sums.kl.push_back(divergence(p, q));
    sums.same.push_back(p.best == q.best ? 1 : 0);
    if (!answer->tokens.empty()) exact = exact && q.best == answer->tokens[i];
  }
  if (!answer->tokens.empty()) sums.exact = exact ? 1 : 0;
  return sums;
}

OutputSums::Other other_sums(const TensorView& plain, const TensorView& quantized) {
  if (plain.shape != quantized.shape) return {0, -1};
  require_same_shape(plain, quantized);
  const std::span<const float> a = floats(plain);
  const std::span<const float> b = floats(quantized);
  OutputSums::Other sums{0, static_cast<double>(a.size())};
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
    const double d = static_cast<double>(b[i]) - static_cast<double>(a[i]);
    sums.squared_error += d * d;
  }
  return sums;
}

namespace {

// None where a sample's has another shape, or was measured without it.
std::optional<double> mse_of_other(std::span<const OutputSums> samples, std::size_t index) {
  OutputSums::Other sum;
  for (const OutputSums& s : samples) {
    if (index >= s.others.size() || s.others[index].elements < 0) return std::nullopt;
    sum.squared_error += s.others[index].squared_error;
    sum.elements += s.others[index].elements;
  }
  return sum.elements > 0 ? sum.squared_error / sum.elements : 0;
}

}  // namespace

OutputError output_error(std::span<const OutputSums> samples, std::span<const std::string> others) {
  double squared = 0;
  double elements = 0;
  double exact = 0;
  double answered = 0;
  double same = 0;
  std::vector<double> kl;
  for (const OutputSums& s : samples) {
    squared += s.squared_error;
    elements += s.elements;
    if (s.exact >= 0) {
      exact += s.exact;
      ++answered;
    }
    kl.insert(kl.end(), s.kl.begin(), s.kl.end());
    for (const double one : s.same) same += one;
  }
  OutputError error;
  error.mse = elements > 0 ? squared / elements : 0;
  if (answered > 0) error.exact = exact / answered;
  for (std::size_t i = 0; i < others.size(); ++i)
    error.others.emplace_back(others[i], mse_of_other(samples, i));
  if (kl.empty()) return error;
  const auto count = static_cast<double>(kl.size());
  double mean = 0;
  for (const double v : kl) mean += v;
  mean /= count;
  double variance = 0;
  for (const double v : kl) variance += (v - mean) * (v - mean);
  error.kl = mean;
  error.kl_stderr = kl.size() > 1 ? std::sqrt(variance / (count - 1) / count) : 0;
  std::ranges::sort(kl);
  error.kl_median = percentile(kl, 0.5);
  error.kl_p99 = percentile(kl, 0.99);
  error.top1 = same / count;
  return error;
}

bool all_finite(const TensorView& tensor) {
  // An exponent of ones, in any of them: found without a branch for each.
  constexpr std::uint32_t kExponent = 0x7F800000U;
  const std::size_t count = tensor.bytes.size() / sizeof(float);
  const auto* bits = reinterpret_cast<const std::uint32_t*>(tensor.bytes.data());
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < count; ++i) most = std::max(most, bits[i] & kExponent);
  return most != kExponent;
}

}  // namespace qvl
