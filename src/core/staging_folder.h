// Several files that are to appear together in a folder.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace qvl {

// A hidden folder inside `folder` (made with its parents when missing) in which files are prepared; publish()
// renames them into `folder` in the order given. Without it everything is removed again, `folder` too when it
// was made here. Leftovers of a run that was killed are removed by the next StagingFolder at the same place;
// a run still at work there is left alone (it holds a lock). Throws InputError where the folder cannot be
// made or written.
class StagingFolder {
 public:
  explicit StagingFolder(std::filesystem::path folder);
  ~StagingFolder();
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;

  // Where to prepare files.
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return staging_; }

  // Moves the named files to their places, replacing what is there.
  void publish(const std::vector<std::string>& names);

 private:
  void remove_leftovers() const;

  std::filesystem::path folder_;
  std::filesystem::path staging_;
  std::vector<std::filesystem::path> made_;  // folders made here, outermost first
  int lock_ = -1;
  bool published_ = false;
};

}  // namespace qvl
