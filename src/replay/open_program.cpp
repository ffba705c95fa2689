#include "replay/open_program.h"

#include <fmt/format.h>

#include <algorithm>

#include "qvl/error.h"

namespace qvl {

namespace fs = std::filesystem;

std::unique_ptr<Program> open_program(const fs::path& model, const fs::path& data, int samples,
                                      const CancelToken* cancel, const InputOptions& input,
                                      const std::string& output) {
  if (!fs::exists(model)) {
    throw InputError(
        fmt::format("{} does not exist; an ONNX file or a model folder is expected", model.string()));
  }
  if (!fs::exists(data)) {
    throw InputError(fmt::format(
        "{} does not exist; a JSONL file of chats or a folder of tensors is expected", data.string()));
  }
  const auto count = static_cast<std::size_t>(std::max(0, samples));
  const bool chats = !fs::is_directory(data);
  if (fs::is_directory(model)) {
    if (chats) return chat_program(model, data, count, cancel, input, output);
    throw InputError(
        fmt::format("{} is a model folder, for which the data is a JSONL file of chats; {} is a folder",
                    model.string(), data.string()));
  }
  if (chats) {
    throw InputError(
        fmt::format("{} is a single model, for which the data is a folder with one safetensors or npz "
                    "file a sample; {} is a file",
                    model.string(), data.string()));
  }
  return tensor_program(model, data, count, output);
}

}  // namespace qvl
