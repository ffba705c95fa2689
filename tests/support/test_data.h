// Where tests find their data, and a folder of their own to write to.
#pragma once

#include <filesystem>
#include <string>

namespace qvl::test {

// tests/data/NAME
std::filesystem::path data(const std::string& name);
// config.json of the preset NAME ("3b"), or of its form that many fine-tunes are published in
// ("3b-finetune").
std::filesystem::path preset_config(const std::string& name);
// The demo checkpoint.
std::filesystem::path demo_checkpoint();

// A fresh folder under the system's temporary folder, removed with everything in it at the end of scope.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& bytes);

}  // namespace qvl::test
