#include "planner/kernel_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "core/tensor.h"
#include "onnx/rewrite/quantized_graph.h"
#include "quant/packed_blocks.h"
#include "runtime/library.h"
#include "runtime/session.h"

namespace qvl {
namespace {

using Clock = std::chrono::steady_clock;

// Another name whenever formats become other operators: times in old folders are of the old ones.
constexpr const char* kMeasure = "kernel ms, unpacked when loaded";

constexpr std::int64_t kMostElements = std::int64_t{1}
                                       << 26U;  // where they are unpacked, some copies in f32 are held

// Where there is none, times of another machine in the same folder would be taken for this one's.
std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name") || line.starts_with("CPU part"))
      return line.substr(line.find(':') + 1);
  }
  return " unknown processor";
}

double time_model(const KernelSpec& spec, int threads, const CancelToken* cancel) {
  SessionOptions options;
  options.threads = threads;
  const Session session = Session::from_bytes(kernel_model(spec), "kernel.onnx", options);
  const Shape shape = spec.conv ? Shape{1, spec.depth, 1, spec.activations}
                                : Shape{spec.matrices, spec.activations, spec.depth};
  const Tensor input(DType::f32, shape);
  const std::vector<NamedTensor> inputs{{"x", input.view()}};
  (void)session.run(inputs, {}, cancel);  // takes its memory
  constexpr std::size_t kLeastRuns = 5;
  constexpr std::size_t kMostRuns = 25;
  constexpr double kEnoughMs = 100;
  std::vector<double> times;
  for (double total = 0; times.size() < kLeastRuns || (total < kEnoughMs && times.size() < kMostRuns);) {
    const Clock::time_point start = Clock::now();
    (void)session.run(inputs, {}, cancel);
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    total += times.back();
  }
  std::ranges::nth_element(times, times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2));
  return times[times.size() / 2];
}

}  // namespace

KernelSpec kernel_spec(const StoredWeight& weight, const std::optional<Format>& format,
                       std::int64_t activations) {
  KernelSpec spec;
  spec.conv = weight.op == "Conv";
  spec.matrices = weight.layout.matrices;
  spec.depth = weight.layout.depth;
  spec.rows = weight.layout.rows;
  spec.activations = activations;
  if (!format) return spec;
  using Activations = QuantizedNode::Activations;
  QuantizedNode node;
  node.bits = format->bits;
  node.group = format->block;
  Format stored = *format;
  stored.activations = ActivationRounding::kept;
  node.block = stored_block(stored, weight.layout.depth);
  if (format->activations == ActivationRounding::dynamic_u8) node.activations = Activations::dynamic;
  if (format->activations == ActivationRounding::static_u8) node.activations = Activations::fixed;
  node.range_zero_point = 128;  // as of values of both signs
  spec.quantized = node;
  return spec;
}

KernelTimes::KernelTimes(MeasurementStore& store, std::int64_t rows, int threads, const CancelToken* cancel)
    : store_(store),
      rows_(rows),
      threads_(threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()))),
      cancel_(cancel) {}

double KernelTimes::of(const StoredWeight& weight, const std::optional<Format>& format) {
  KernelSpec spec = kernel_spec(weight, format, rows_);
  const MeasurementKey key{
      "", fmt::format("{} [{}, {}, {}]", spec.conv ? "Conv" : "MatMul", spec.matrices, spec.depth, spec.rows),
      format ? to_string(*format) : "", kMeasure,
      fmt::format("{} rows, {} threads,{}, ONNX Runtime {}", rows_, threads_, processor_name(),
                  runtime_version())};
  if (const auto known = store_.find(key); known && !known->empty()) return known->front();
  double parts = 1;
  while (spec.matrices * spec.depth * spec.rows > kMostElements && spec.rows > 1) {
    parts *= static_cast<double>(spec.rows) / static_cast<double>(spec.rows / 2);
    spec.rows /= 2;
  }
  const std::vector<double> time{time_model(spec, threads_, cancel_) * parts};
  store_.put(key, time);
  store_.flush();
  return time.front();
}

}  // namespace qvl
