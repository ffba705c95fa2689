// ONNX models as graphs to be cut: any bytes are a graph, or an InputError; every part of a graph is a model,
// or takes something that nothing gives (UsageError). Nothing is run. External data may lie in the input
// itself, as model.onnx.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "onnx/read/model_graph.h"
#include "qvl/error.h"

namespace {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "qvl-fuzz-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::filesystem::path model() const { return path_ / "model.onnx"; }

 private:
  std::filesystem::path path_;
};

template <class Error, class Call>
void run(Call&& call) {
  try {
    call();
  } catch (const Error&) {
  } catch (const qvl::InputError&) {
  }
}

void read_constants(const qvl::ModelGraph& graph) {
  for (const auto& node : graph.nodes()) {
    for (const std::string& value : node.inputs) {
      const qvl::ModelGraph::Constant* constant = graph.constant(value);
      if (constant == nullptr) continue;
      const std::uint64_t count = constant->size_bytes / qvl::size_bytes(constant->stored);
      std::vector<float> values(std::min<std::uint64_t>(count, 100));
      run<qvl::InputError>([&] { graph.read_f32(value, count - values.size(), values); });
    }
  }
}

// All nodes; with the weight of each that has one given from outside in all three ways.
void cut(const qvl::ModelGraph& graph) {
  qvl::ModelSlice slice;
  for (const auto& port : graph.inputs())
    slice.inputs.push_back({port.name, port.dtype.value_or(qvl::DType::f32)});
  for (const auto& port : graph.outputs()) slice.outputs.push_back(port.name);
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) slice.nodes.push_back(i);
  run<qvl::UsageError>([&] { (void)graph.slice(slice); });
  slice.fuse_attention = slice.fuse_rotary = true;
  run<qvl::UsageError>([&] { (void)graph.slice(slice); });
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    if (graph.nodes()[i].inputs.size() < 2) continue;
    const std::string name = "weight" + std::to_string(i);
    slice.replacements.push_back({i, name, static_cast<qvl::OperandRounding>(i % 3), name + "s", name + "z"});
  }
  run<qvl::UsageError>([&] { (void)graph.slice(slice); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder folder;
  std::ofstream(folder.model(), std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  run<qvl::InputError>([&] {
    const qvl::ModelGraph graph(folder.model());
    (void)graph.files();
    read_constants(graph);
    cut(graph);
  });
  return 0;
}
