#include "cli/sparse_checkpoint.h"

#include <cstring>

#include "core/json_text.h"
#include "models/qwen25vl/tensors.h"
#include "support/test_data.h"

namespace qvl::test {

namespace fs = std::filesystem;

void write_sparse_checkpoint(const fs::path& folder, std::int64_t vocab_size) {
  fs::create_directories(folder);
  for (const char* file : {"tokenizer.json", "preprocessor_config.json", "generation_config.json"}) {
    fs::copy(demo_checkpoint() / file, folder / file);
  }
  Json config = read_json_file(demo_checkpoint() / "config.json");
  config["vocab_size"] = vocab_size;
  config["tie_word_embeddings"] = false;
  write_file(folder / "config.json", config.dump());
  Json header = Json::object();
  std::int64_t offset = 0;
  const TensorTable table = qwen25vl::tensor_table(qwen25vl::read_model_config(folder / "config.json"));
  for (const TensorRow& row : table.rows()) {
    const std::int64_t size = *element_count(row.shape) * 2;
    header[row.name] = {{"dtype", "BF16"}, {"shape", row.shape}, {"data_offsets", {offset, offset + size}}};
    offset += size;
  }
  const std::string text = header.dump();
  const std::uint64_t length = text.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  write_file(folder / "model.safetensors", bytes + text);
  fs::resize_file(folder / "model.safetensors", 8 + length + static_cast<std::uint64_t>(offset));
}

}  // namespace qvl::test
