#include "support/test_data.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace qvl::test {

namespace fs = std::filesystem;

fs::path data(const std::string& name) { return fs::path(QVL_TEST_DATA) / name; }

fs::path preset_config(const std::string& name) {
  if (name == "3b-finetune") return data("presets/config-3b-finetune.json");
  return fs::path(QVL_PRESETS_DIR) / (name + ".json");
}

fs::path demo_checkpoint() { return fs::path(QVL_DEMO_DIR) / "shapes-vl"; }

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "qvl-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder at " + name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(fs::file_size(path), '\0');
  if (!file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
    throw std::runtime_error("cannot read " + path.string());
  return bytes;
}

void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  if (!file) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace qvl::test
