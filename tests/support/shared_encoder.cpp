#include "support/shared_encoder.h"

#include <string>

namespace qvl::test {
namespace {

constexpr std::int64_t kWidth = 32;
constexpr std::int64_t kWide = 64;
constexpr std::int64_t kLength = 12;
constexpr std::int64_t kHeads = 2;
constexpr std::int64_t kFeatures = 8;

// With a few outliers, as weights of trained models have.
std::vector<float> weight(std::int64_t in, std::int64_t out, unsigned seed, float deviation) {
  std::vector<float> values = noise(static_cast<std::size_t>(in * out), seed, deviation);
  for (std::size_t i = seed % 17; i < values.size(); i += 211) values[i] *= 6;
  return values;
}

class Builder {
 public:
  explicit Builder(HandMadeModel& model) : model_(model) {
    model_.input("x", {kOpen, kLength, kWidth});
    for (const std::string name : {"q", "k", "v", "o"})
      model_.floats("w_" + name, {kWidth, kWidth}, weight(kWidth, kWidth, seed_++, 0.25F));
    model_.floats("w_up", {kWidth, kWide}, weight(kWidth, kWide, seed_++, 0.3F));
    model_.floats("w_down", {kWide, kWidth}, weight(kWide, kWidth, seed_++, 0.12F));
    model_.floats("w_out", {kWidth, kFeatures}, weight(kWidth, kFeatures, seed_++, 0.3F));
    std::vector<float> scale(kWidth, 1.0F);
    scale[3] = 12;  // a channel that all layers see large
    model_.floats("scale", {kWidth}, scale);
    model_.floats("root", {}, {0.25F});
    model_.integers("heads", {4}, {0, 0, kHeads, kWidth / kHeads});
    model_.integers("joined", {3}, {0, 0, kWidth});
  }

  void layer(int index) {
    const std::string at = "/layers." + std::to_string(index) + "/";
    const std::string n = std::to_string(index) + "_";
    norm(state_, n + "before");
    for (const std::string name : {"q", "k", "v"}) {
      linear(n + "before", name, n + name, at + "attn/" + name);
      model_.node("Reshape", {n + name, "heads"}, {n + name + "_heads"});
      const bool turned = name == "k";
      set(model_.node("Transpose", {n + name + "_heads"}, {n + name + "_turned"}), "perm",
          turned ? std::vector<std::int64_t>{0, 2, 3, 1} : std::vector<std::int64_t>{0, 2, 1, 3});
    }
    model_.node("MatMul", {n + "q_turned", n + "k_turned"}, {n + "raw"});
    model_.node("Mul", {n + "raw", "root"}, {n + "scores"});
    model_.node("Softmax", {n + "scores"}, {n + "shares"});
    model_.node("MatMul", {n + "shares", n + "v_turned"}, {n + "mixed"});
    set(model_.node("Transpose", {n + "mixed"}, {n + "back"}), "perm", std::vector<std::int64_t>{0, 2, 1, 3});
    model_.node("Reshape", {n + "back", "joined"}, {n + "flat"});
    linear(n + "flat", "o", n + "attended", at + "attn/o");
    add(n + "attended", n + "middle");
    norm(state_, n + "wide");
    linear(n + "wide", "up", n + "up", at + "mlp/up");
    model_.node("Relu", {n + "up"}, {n + "relu"});
    linear(n + "relu", "down", n + "down", at + "mlp/down");
    add(n + "down", n + "end");
  }

  void finish() {
    norm(state_, "last");
    linear("last", "out", "features", "/head");
    model_.output("features");
  }

 private:
  void linear(const std::string& from, const std::string& weight_name, const std::string& to,
              const std::string& name) {
    model_.node("MatMul", {from, "w_" + weight_name}, {to}, name + "/MatMul");
  }
  void norm(const std::string& from, const std::string& to) {
    model_.node("LayerNormalization", {from, "scale"}, {to});
  }
  void add(const std::string& value, const std::string& to) {
    model_.node("Add", {state_, value}, {to});
    state_ = to;
  }

  HandMadeModel& model_;
  std::string state_ = "x";
  unsigned seed_ = 40;
};

}  // namespace

SharedEncoder shared_encoder(int samples) {
  SharedEncoder made;
  Builder builder(made.model);
  for (int index = 0; index < SharedEncoder::kLayers; ++index) builder.layer(index);
  builder.finish();
  for (int i = 0; i < samples; ++i) {
    const auto batch = static_cast<std::int64_t>(1 + i % 2);
    Tensors inputs;
    inputs["x"] =
        floats_of({batch, kLength, kWidth}, noise(static_cast<std::size_t>(batch * kLength * kWidth),
                                                  100 + static_cast<unsigned>(i), i == 1 ? 3.0F : 1.0F));
    made.samples.push_back(std::move(inputs));
  }
  return made;
}

}  // namespace qvl::test
