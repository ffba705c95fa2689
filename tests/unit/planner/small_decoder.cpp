#include "unit/planner/small_decoder.h"

#include <string>
#include <vector>

#include "checkpoint/safetensors_writer.h"
#include "support/hand_made_model.h"
#include "support/model_run.h"

namespace qvl::test {

void write_small_decoder(const std::filesystem::path& path, unsigned seed) {
  constexpr std::int64_t kWidth = 32;
  constexpr std::int64_t kInner = 48;
  constexpr std::int64_t kWords = 40;
  HandMadeModel model;
  const auto weight = [&](const std::string& name, std::int64_t depth, std::int64_t rows, float deviation) {
    model.floats(name, {depth, rows}, noise(static_cast<std::size_t>(depth * rows), seed++, deviation));
  };
  model.input("input_ids", {1, kOpen}, onnx::TensorProto::INT64);
  weight("table", kWords, kWidth, 0.4F);
  model.node("Gather", {"table", "input_ids"}, {"h0"});
  std::string h = "h0";
  for (int layer = 0; layer < 3; ++layer) {
    const std::string place = "/layers." + std::to_string(layer) + "/";
    const auto name = [&](const std::string& value) { return value + std::to_string(layer); };
    const auto product = [&](const std::string& input, const std::string& kind, std::int64_t depth,
                             std::int64_t rows) {
      weight(name("w_" + kind), depth, rows, 0.2F);
      model.node("MatMul", {input, name("w_" + kind)}, {name(kind)}, place + kind + "/MatMul");
      return name(kind);
    };
    for (const char* kind : {"q", "k", "v"}) product(h, kind, kWidth, kWidth);
    model.node("Sigmoid", {name("k")}, {name("opened")});
    model.node("Mul", {name("q"), name("opened")}, {name("mixed")});
    model.node("Add", {name("mixed"), name("v")}, {name("attended")});
    model.node("Add", {h, product(name("attended"), "o", kWidth, kWidth)}, {name("middle")});
    for (const char* kind : {"gate", "up"}) product(name("middle"), kind, kWidth, kInner);
    model.node("Sigmoid", {name("gate")}, {name("gated")});
    model.node("Mul", {name("gated"), name("up")}, {name("inner")});
    model.node("Add", {name("middle"), product(name("inner"), "down", kInner, kWidth)}, {name("h_out")});
    h = name("h_out");
  }
  model.node("Transpose", {"table"}, {"turned"});
  model.node("MatMul", {h, "turned"}, {"logits"}, "/head/MatMul");
  model.output("logits");
  model.save(path);
}

void write_small_samples(const std::filesystem::path& folder, int samples, std::int64_t step) {
  std::filesystem::create_directories(folder);
  for (int s = 0; s < samples; ++s) {
    std::vector<std::int64_t> ids;
    for (std::int64_t i = 0; i < 9 + s; ++i) ids.push_back((i * step + 3 * s) % 40);
    const Tensor tensor = integers_of({1, static_cast<std::int64_t>(ids.size())}, ids);
    const std::vector<NamedTensor> named{{"input_ids", tensor.view()}};
    write_safetensors(folder / (std::to_string(s) + ".safetensors"), named);
  }
}

}  // namespace qvl::test
