// Fake quantization of a 2048 x 11008 weight on one thread, for each instruction set, layout and format;
// items are weights. copy is what the memory allows.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "quant/activation.h"
#include "quant/fake_quantize.h"
#include "quant/gptq.h"
#include "quant/packed_blocks.h"
#include "quant/quantized_weights.h"
#include "quant/range_calibrator.h"
#include "quant/scale_search.h"

namespace {

constexpr std::int64_t kRows = 2048;
constexpr std::int64_t kDepth = 11008;

const std::vector<float>& weights() {
  static const std::vector<float> values = [] {
    std::vector<float> made(static_cast<std::size_t>(kRows * kDepth));
    std::uint32_t state = 1;
    for (float& value : made) {
      state = state * 1664525U + 1013904223U;
      value = (static_cast<float>(state >> 8U) - 0x1p23F) * 0x1p-29F;
    }
    return made;
  }();
  return values;
}

void count_weights(benchmark::State& state) { state.SetItemsProcessed(state.iterations() * kRows * kDepth); }

void copy(benchmark::State& state) {
  std::vector<float> out(weights().size());
  for (auto _ : state) {
    std::memcpy(out.data(), weights().data(), out.size() * sizeof(float));
    benchmark::ClobberMemory();
  }
  count_weights(state);
}
BENCHMARK(copy)->Unit(benchmark::kMillisecond);

// Of the MLP of a model of 3 billion parameters: 2048 x 11008, either way around.
struct Case {
  qvl::WeightLayout layout;
  std::string name;
};
const std::vector<Case> kCases{{{1, kRows, kDepth, qvl::DepthAxis::contiguous}, "contiguous"},
                               {{1, kRows, kDepth, qvl::DepthAxis::strided}, "strided_by_2048"},
                               {{1, kDepth, kRows, qvl::DepthAxis::strided}, "strided_by_11008"}};

void fake(benchmark::State& state, qvl::WeightLayout layout, qvl::Format format, qvl::Isa isa) {
  std::vector<float> out(weights().size());
  for (auto _ : state) {
    qvl::fake_quantize(layout, format, weights(), out, isa, 1);
    benchmark::ClobberMemory();
  }
  count_weights(state);
}

void fake_in_place(benchmark::State& state, qvl::WeightLayout layout, qvl::Format format, qvl::Isa isa) {
  std::vector<float> values = weights();
  for (auto _ : state) {
    qvl::fake_quantize(layout, format, values, values, isa, 1);
    benchmark::ClobberMemory();
  }
  count_weights(state);
}

void levels(benchmark::State& state, qvl::WeightLayout layout, qvl::Format format, qvl::Isa isa) {
  for (auto _ : state) benchmark::DoNotOptimize(qvl::quantize_weights(layout, format, weights(), isa, 1));
  count_weights(state);
}

void pack(benchmark::State& state, qvl::WeightLayout layout, qvl::Format format) {
  const qvl::QuantizedWeights quantized = qvl::quantize_weights(layout, format, weights());
  for (auto _ : state) benchmark::DoNotOptimize(qvl::pack_blocks(quantized, 0, 1));
  count_weights(state);
}

void least_squares(benchmark::State& state, qvl::WeightLayout layout, qvl::Format format, qvl::Isa isa) {
  for (auto _ : state)
    benchmark::DoNotOptimize(qvl::quantize_least_squares(layout, format, weights(), {}, isa, 1));
  count_weights(state);
}

// 1024 inputs; items are products.
void hessian(benchmark::State& state, std::int64_t depth, qvl::Isa isa, int threads) {
  constexpr std::int64_t kInputs = 1024;
  qvl::Hessian sums(depth);
  const std::span rows(weights().data(), static_cast<std::size_t>(kInputs * depth));
  for (auto _ : state) sums.add(rows, isa, threads);
  state.SetItemsProcessed(state.iterations() * kInputs * depth * depth / 2);
}

// All of the MLP's weight on all processors: seconds.
void gptq(benchmark::State& state, qvl::WeightLayout layout) {
  qvl::Hessian sums(layout.depth);
  sums.add(std::span(weights().data(), std::size_t{kRows * kDepth}));
  for (auto _ : state)
    benchmark::DoNotOptimize(qvl::quantize_gptq(layout, qvl::parse_format("int4:32"), weights(), sums));
  count_weights(state);
}

void activations_min_max(benchmark::State& state, qvl::Isa isa) {
  for (auto _ : state) benchmark::DoNotOptimize(qvl::min_max(weights(), isa));
  count_weights(state);
}

void activations_in_place(benchmark::State& state, qvl::Isa isa) {
  std::vector<float> values = weights();
  const qvl::AffineU8 affine = qvl::AffineU8::of_range(qvl::min_max(values));
  for (auto _ : state) {
    benchmark::DoNotOptimize(qvl::fake_quantize_activation(values, affine, values, isa));
    benchmark::ClobberMemory();
  }
  count_weights(state);
}

void observe(benchmark::State& state, const std::string& calibration) {
  qvl::RangeCalibrator calibrator(qvl::parse_calibration(calibration));
  for (auto _ : state) calibrator.observe(weights());
  count_weights(state);
}
BENCHMARK_CAPTURE(observe, minmax, "minmax")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(observe, percentile, "percentile:99.99")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(observe, entropy, "entropy")->Unit(benchmark::kMillisecond);

void choose_range(benchmark::State& state, const std::string& calibration) {
  qvl::RangeCalibrator calibrator(qvl::parse_calibration(calibration));
  calibrator.observe(weights());
  for (auto _ : state) benchmark::DoNotOptimize(calibrator.range());
}
BENCHMARK_CAPTURE(choose_range, percentile, "percentile:99.99")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(choose_range, entropy, "entropy")->Unit(benchmark::kMillisecond);

const bool kRegistered = [] {
  for (const qvl::Isa isa : qvl::supported_isas()) {
    const std::string set(qvl::name(isa));
    benchmark::RegisterBenchmark(("activations_min_max/" + set).c_str(), activations_min_max, isa)
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("activations_in_place/" + set).c_str(), activations_in_place, isa)
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark(("hessian/2048/" + set).c_str(), hessian, 2048, isa, 1)
        ->Unit(benchmark::kMillisecond);
    for (const Case& one : kCases) {
      for (const qvl::Format& format : qvl::parse_formats("int8,int8:32,int4:16,int4:32,int4:128")) {
        const std::string rest = "/" + one.name + "/" + qvl::to_string(format) + "/" + set;
        const auto add = [&](const std::string& what, auto function) {
          benchmark::RegisterBenchmark((what + rest).c_str(), function, one.layout, format, isa)
              ->Unit(benchmark::kMillisecond);
        };
        add("fake", fake);
        add("in_place", fake_in_place);
        add("levels", levels);
        add("least_squares", least_squares);
      }
    }
  }
  for (const Case& one : kCases) {
    for (const qvl::Format& format : qvl::parse_formats("int8,int8:32,int4:32,int4:128")) {
      benchmark::RegisterBenchmark(("pack/" + one.name + "/" + qvl::to_string(format)).c_str(), pack,
                                   one.layout, format)
          ->Unit(benchmark::kMillisecond);
    }
    benchmark::RegisterBenchmark(("gptq/" + one.name).c_str(), gptq, one.layout)
        ->Unit(benchmark::kSecond)
        ->UseRealTime()
        ->Iterations(1);
  }
  benchmark::RegisterBenchmark("hessian/11008", hessian, kDepth, qvl::best_isa(), 0)
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime()
      ->Iterations(1);
  return true;
}();

}  // namespace
