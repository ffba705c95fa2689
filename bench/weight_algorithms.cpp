// What the algorithms for weights leave of the squared error of an output, as a share of what rounding to
// nearest leaves: the table of docs/quantize.md. Inputs are mixtures of a few hidden ones and noise, of sizes
// that are log-normal, and some outliers; the error is on the rows that were seen.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "quant/gptq.h"
#include "quant/scale_search.h"

namespace {

using namespace qvl;

constexpr std::int64_t kDepth = 512;
constexpr std::int64_t kChannels = 48;
constexpr std::int64_t kRows = 2048;

struct Inputs {
  const char* name;
  std::int64_t hidden;
  float spread;  // standard deviation of the logarithm of an input's size
  int outliers;  // inputs of 30 times the size
};
constexpr Inputs kInputs[] = {
    {"like sizes", 16, 0.3F, 0}, {"like sizes", 128, 0.3F, 0}, {"unlike sizes", 16, 1, 0},
    {"unlike sizes", 128, 1, 0}, {"outliers", 16, 1, 5},       {"outliers", 128, 1, 5},
};

std::vector<float> noise(std::int64_t count, unsigned seed, float deviation = 1.0F) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution(0.0F, deviation);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = distribution(random);
  return values;
}

Hessian hessian_of(const Inputs& inputs) {
  const auto mixture = noise(inputs.hidden * kDepth, 5);
  const auto hidden = noise(kRows * inputs.hidden, 6);
  auto rows = noise(kRows * kDepth, 7, 0.5F);
  std::mt19937 random(8);
  std::normal_distribution<float> distribution(0.0F, inputs.spread);
  std::vector<float> sizes(kDepth);
  for (float& size : sizes) size = std::exp(distribution(random));
  for (int i = 0; i < inputs.outliers; ++i) sizes[random() % kDepth] *= 30.0F;
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (std::int64_t k = 0; k < kDepth; ++k) {
      float& value = rows[static_cast<std::size_t>(row * kDepth + k)];
      for (std::int64_t h = 0; h < inputs.hidden; ++h) {
        value += hidden[static_cast<std::size_t>(row * inputs.hidden + h)] *
                 mixture[static_cast<std::size_t>(h * kDepth + k)];
      }
      value *= sizes[static_cast<std::size_t>(k)];
    }
  }
  Hessian hessian(kDepth);
  hessian.add(rows);
  return hessian;
}

double output_error(const QuantizedWeights& found, const std::vector<float>& in, const Hessian& hessian) {
  std::vector<float> values(in.size());
  found.dequantize(values);
  double sum = 0;
  for (std::int64_t n = 0; n < kChannels; ++n) {
    const auto error = [&](std::int64_t k) {
      const auto at = static_cast<std::size_t>(n * kDepth + k);
      return double{in[at]} - values[at];
    };
    for (std::int64_t i = 0; i < kDepth; ++i) {
      double line = 0;
      for (std::int64_t j = 0; j < kDepth; ++j)
        line += hessian.sums()[static_cast<std::size_t>(i * kDepth + j)] * error(j);
      sum += line * error(i);
    }
  }
  return sum;
}

}  // namespace

int main() {
  const WeightLayout layout{1, kChannels, kDepth, DepthAxis::contiguous};
  const auto weights = noise(kChannels * kDepth, 3, 0.03F);
  fmt::print(
      "| inputs | hidden | format | `least-squares`, no importance | `least-squares` | GPTQ, own order, the "
      "rule's scales | GPTQ, falling order, the rule's scales | `gptq` "
      "|\n|---|---|---|---|---|---|---|---|\n");
  for (const Inputs& inputs : kInputs) {
    const Hessian hessian = hessian_of(inputs);
    for (const Format& format : parse_formats("int4:32,int4:128,int8")) {
      const double nearest = output_error(quantize_weights(layout, format, weights), weights, hessian);
      const auto share = [&](const QuantizedWeights& found) {
        return output_error(found, weights, hessian) / nearest;
      };
      const auto gptq = [&](bool largest_first, bool least_squares) {
        GptqOptions options;
        options.largest_first = largest_first;
        options.least_squares = least_squares;
        return share(quantize_gptq(layout, format, weights, hessian, options));
      };
      fmt::print("| {} | {} | {} | {:.3f} | {:.3f} | {:.4f} | {:.4f} | {:.4f} |\n", inputs.name,
                 inputs.hidden, to_string(format), share(quantize_least_squares(layout, format, weights)),
                 share(quantize_least_squares(layout, format, weights, hessian.mean_squares())),
                 gptq(false, false), gptq(true, false), gptq(true, true));
    }
  }
  return 0;
}
