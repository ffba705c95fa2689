#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <thread>

#include "qvl/error.h"
#include "runtime/cancel_watch.h"
#include "runtime/session.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using std::chrono::milliseconds;

std::filesystem::path model(const std::string& name) { return test::data("foreign-onnx") / name; }

Tensor count(std::int64_t n) {
  return Tensor::of<std::int64_t>(DType::i64, {}, std::vector<std::int64_t>{n});
}

TEST(SessionThreads, OneSessionRunsOnTwoThreadsAtOnce) {
  const Session session(model("text.onnx"));
  std::vector<std::vector<float>> alone;
  std::vector<Tensor> tokens;
  Tensor mask(DType::i64, {1, 16});
  for (std::int64_t& value : mask.as<std::int64_t>()) value = 1;
  const auto logits = [&](const Tensor& input) {
    const auto outputs = session.run({{"input_ids", input.view()}, {"attention_mask", mask.view()}});
    const auto values = outputs[0].as<float>();
    return std::vector<float>(values.begin(), values.end());
  };
  for (std::int64_t t = 0; t < 2; ++t) {
    Tensor& input = tokens.emplace_back(DType::i64, Shape{1, 16});
    std::int64_t i = t;
    for (std::int64_t& value : input.as<std::int64_t>()) value = (i += 7 + t) % 300;
    alone.push_back(logits(input));
  }
  ASSERT_NE(alone[0], alone[1]);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int turn = 0; turn < 50; ++turn) wrong += logits(tokens[t]) != alone[t];
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(SessionThreads, ACancelledRunEndsAndTheSessionGoesOn) {
  const Session session(model("made/loop.onnx"));
  const Tensor start(DType::f32, {});
  const Tensor forever = count(std::numeric_limits<std::int64_t>::max());
  CancelToken token;
  std::thread canceller([&] {
    std::this_thread::sleep_for(milliseconds(50));
    token.cancel();
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THROW((void)session.run({{"count", forever.view()}, {"start", start.view()}}, {}, &token),
               Interrupted);
  const auto took = std::chrono::steady_clock::now() - begin;
  canceller.join();
  EXPECT_GE(took, milliseconds(50));
  EXPECT_LT(took, milliseconds(5000));

  const CancelToken untouched;
  const Tensor three = count(3);
  const auto outputs = session.run({{"count", three.view()}, {"start", start.view()}}, {}, &untouched);
  EXPECT_EQ(outputs[0].as<float>()[0], 3.0F);
}

TEST(SessionThreads, ATokenSetBeforehandStartsNothing) {
  const Session session(model("made/loop.onnx"));
  const Tensor start(DType::f32, {});
  const Tensor forever = count(std::numeric_limits<std::int64_t>::max());
  CancelToken token;
  token.cancel();
  EXPECT_THROW((void)session.run({{"count", forever.view()}, {"start", start.view()}}, {}, &token),
               Interrupted);
  Tensor end(DType::f32, {});
  EXPECT_THROW(session.run_into({{"count", forever.view()}, {"start", start.view()}},
                                {{"end", end.dtype(), end.shape(), end.bytes()}}, &token),
               Interrupted);
}

TEST(SessionThreads, AnErrorOfARunWithATokenIsStillThatError) {
  const Session session(model("bert.onnx"));
  const CancelToken token;
  const Tensor bad = Tensor::of<std::int64_t>(DType::i64, {1, 1}, std::vector<std::int64_t>{1 << 30});
  EXPECT_THROW((void)session.run({{"input_ids", bad.view()}, {"attention_mask", bad.view()}}, {}, &token),
               InputError);
}

TEST(CancelWatch, CallsOnceAndEndsAtOnce) {
  CancelToken token;
  std::atomic<int> calls = 0;
  {
    const CancelWatch watch(&token, [&] { ++calls; });
    token.cancel();
    for (int i = 0; i < 500 && calls == 0; ++i) std::this_thread::sleep_for(milliseconds(10));
    std::this_thread::sleep_for(3 * CancelWatch::kPeriod);
  }
  EXPECT_EQ(calls, 1);
  const CancelToken untouched;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) const CancelWatch watch(&untouched, [&] { ++calls; });
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 100 * CancelWatch::kPeriod);
  const CancelWatch none(nullptr, [&] { ++calls; });
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace qvl
