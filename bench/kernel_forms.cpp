// How long the products of every format take beside f32, in the form that `qvl quantize` writes: a table of
// docs/quantize.md. All formats of a shape take turns, so that what else the machine does falls on all of
// them.
//
//   build/release/bench/kernel_forms [THREADS [SECONDS A SHAPE]]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "onnx/rewrite/kernel_model.h"
#include "planner/kernel_times.h"
#include "runtime/library.h"
#include "runtime/session.h"

namespace {

using namespace qvl;
using Clock = std::chrono::steady_clock;

struct Column {
  const char* name;
  const char* format;  // "": f32
  int accuracy_level = 0;
};
constexpr Column kColumns[] = {{"f32", ""},
                               {"int4:32", "int4:32"},
                               {"int4:128", "int4:128"},
                               {"int4:32, level 4", "int4:32", 4},
                               {"int8", "int8"},
                               {"int8:32", "int8:32"},
                               {"int8:128", "int8:128"},
                               {"int8, level 1", "int8", 1},
                               {"int8:128, level 4", "int8:128", 4},
                               {"int8-dynamic", "int8-dynamic"},
                               {"int8-static", "int8-static"}};

struct Shape2 {
  const char* op;
  std::int64_t depth;
  std::int64_t rows;
};
constexpr Shape2 kShapes[] = {{"MatMul", 768, 3072},   {"MatMul", 2048, 2048}, {"MatMul", 2048, 11008},
                              {"MatMul", 11008, 2048}, {"Conv", 256, 64},      {"Conv", 512, 512}};

Tensor noise(const Shape& shape) {
  Tensor tensor(DType::f32, shape);
  std::mt19937 random(1);
  std::normal_distribution<float> distribution;
  for (float& value : tensor.as<float>()) value = distribution(random);
  return tensor;
}

// The least time of each column, in milliseconds.
std::vector<double> times_of(const Shape2& shape, std::int64_t activations, int threads, double seconds) {
  const StoredWeight weight{shape.op, {1, shape.rows, shape.depth, DepthAxis::strided}};
  std::vector<Session> sessions;
  for (const Column& column : kColumns) {
    std::optional<Format> format;
    if (*column.format != '\0') format = parse_format(column.format);
    KernelSpec spec = kernel_spec(weight, format, activations);
    if (spec.quantized) spec.quantized->accuracy_level = column.accuracy_level;
    SessionOptions options;
    options.threads = threads;
    sessions.push_back(Session::from_bytes(kernel_model(spec), "kernel.onnx", options));
  }
  const bool conv = std::string(shape.op) == "Conv";
  const Tensor input =
      noise(conv ? Shape{1, shape.depth, 1, activations} : Shape{1, activations, shape.depth});
  const std::vector<NamedTensor> inputs{{"x", input.view()}};
  for (const Session& session : sessions) (void)session.run(inputs);
  std::vector<double> least(sessions.size(), 1e300);
  const Clock::time_point end =
      Clock::now() + std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6));
  for (int round = 0; round < 5 || Clock::now() < end; ++round) {
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      const Clock::time_point start = Clock::now();
      (void)sessions[i].run(inputs);
      least[i] = std::min(least[i], std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
  }
  return least;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 10;
  fmt::print("ONNX Runtime {}; time as a multiple of f32's, 1 row / 640 rows\n\n", runtime_version());
  fmt::print("| weight | f32, ms |");
  for (const Column& column : kColumns) {
    if (*column.format != '\0') fmt::print(" {} |", column.name);
  }
  fmt::print("\n|---|--:|");
  for (std::size_t i = 1; i < std::size(kColumns); ++i) fmt::print("--:|");
  fmt::print("\n");
  for (const Shape2& shape : kShapes) {
    const std::vector<double> one = times_of(shape, 1, threads, seconds);
    const std::vector<double> many = times_of(shape, 640, threads, seconds);
    fmt::print("| {} {} x {} | {:.2f} / {:.1f} |", shape.op, shape.depth, shape.rows, one[0], many[0]);
    for (std::size_t i = 1; i < one.size(); ++i)
      fmt::print(" {:.2f} / {:.2f} |", one[i] / one[0], many[i] / many[0]);
    fmt::print("\n");
    std::fflush(stdout);
  }
  return 0;
}
