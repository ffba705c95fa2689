#include "replay/model_hash.h"

#include "core/parallel.h"
#include "core/sha256.h"

namespace qvl {

namespace fs = std::filesystem;

std::string hash_of_lines(std::span<const std::string> lines) {
  Sha256 hash;
  for (const std::string& line : lines) {
    hash.update(std::as_bytes(std::span(line)));
    hash.update(std::as_bytes(std::span("\n", 1)));
  }
  return hash.hex();
}

std::string model_hash(std::vector<fs::path> files, const fs::path& folder,
                       const std::unordered_map<std::string, std::string>& known, int threads,
                       const CancelToken* cancel) {
  if (!folder.empty()) {
    for (const char* name :
         {"config.json", "tokenizer.json", "preprocessor_config.json", "generation_config.json"}) {
      if (fs::exists(folder / name)) files.push_back(folder / name);
    }
  }
  std::vector<std::string> lines(files.size());
  parallel_for(files.size(), worker_count(threads), cancel, [&](std::size_t i, unsigned) {
    const std::string name = files[i].filename().string();
    const auto found = known.find(name);
    lines[i] = name + " " + (found != known.end() ? found->second : sha256_of_file(files[i], cancel));
  });
  return hash_of_lines(lines);
}

}  // namespace qvl
