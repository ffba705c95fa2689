// Fused attention on one thread, for each instruction set and for the shapes of pictures, windows and texts;
// items are the floating-point operations of the two products (all of them, masked or not), so that items per
// second stand beside those of `peak`: fused multiply-adds in registers (qvl bench has the machine's limits).
#include <benchmark/benchmark.h>

#include <limits>
#include <string>
#include <vector>

#include "kernels/attention.h"

namespace {

struct Case {
  std::string name;
  std::int64_t heads, key_heads, rows, depth;
  bool causal;
};
const std::vector<Case> kCases{
    {"picture_672_d32", 4, 4, 2304, 32, false},     {"picture_672_d80", 2, 2, 2304, 80, false},
    {"windows_of_64_d32", 144, 144, 64, 32, false}, {"windows_of_64_d80", 144, 144, 64, 80, false},
    {"causal_640_d32", 8, 4, 640, 32, true},        {"causal_640_d64", 8, 2, 640, 64, true},
    {"text_640_d128", 16, 2, 640, 128, false},      {"causal_640_d128", 16, 2, 640, 128, true}};

std::vector<float> noise(std::int64_t count, std::uint32_t state) {
  std::vector<float> made(static_cast<std::size_t>(count));
  for (float& value : made) {
    state = state * 1664525U + 1013904223U;
    value = (static_cast<float>(state >> 8U) - 0x1p23F) * 0x1p-23F;
  }
  return made;
}

std::vector<float> causal_mask(std::int64_t rows) {
  std::vector<float> mask(static_cast<std::size_t>(rows * rows), std::numeric_limits<float>::lowest());
  for (std::int64_t r = 0; r < rows; ++r) std::fill_n(mask.begin() + r * rows, r + 1, 0.0F);
  return mask;
}

void attend(benchmark::State& state, const Case& one, qvl::Isa isa) {
  const std::int64_t shared = one.heads / one.key_heads;
  const auto q = noise(one.heads * one.rows * one.depth, 1);
  const auto k = noise(one.key_heads * one.rows * one.depth, 2);
  const auto v = noise(one.key_heads * one.rows * one.depth, 3);
  const auto mask = causal_mask(one.rows);
  std::vector<float> out(q.size());
  qvl::AttentionInputs inputs{{{one.key_heads, shared, one.rows, one.depth}, q.data()},
                              {{one.key_heads, 1, one.depth, one.rows}, k.data()},
                              {{one.key_heads, 1, one.rows, one.depth}, v.data()},
                              std::nullopt,
                              1.0F};
  if (one.causal) inputs.mask = {{one.rows, one.rows}, mask.data()};
  for (auto _ : state) {
    qvl::attention(inputs, out, isa);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * 4 * one.heads * one.rows * one.rows * one.depth);
}

const bool kRegistered = [] {
  for (const qvl::Isa isa : qvl::supported_isas()) {
    for (const Case& one : kCases) {
      benchmark::RegisterBenchmark((one.name + "/" + std::string(qvl::name(isa))).c_str(), attend, one, isa)
          ->Unit(benchmark::kMillisecond);
    }
  }
  return true;
}();

}  // namespace
