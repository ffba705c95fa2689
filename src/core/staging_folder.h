// Several files that are to appear together in a folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace qvl {

// A hidden folder inside `folder` (made with its parents when missing) in which files are prepared; publish()
// renames them into `folder`. Without it everything is removed again, `folder` too when it was made here.
// Leftovers of a run that was killed are removed by the next StagingFolder at the same place; a run still at
// work there is left alone (it holds a lock). Throws InputError where the folder cannot be made or written.
class StagingFolder {
 public:
  explicit StagingFolder(std::filesystem::path folder);
  ~StagingFolder();
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;

  // Bytes on disk that are free once the next StagingFolder at this place has removed leftovers; 0 where
  // there are none, or no folder.
  [[nodiscard]] static std::uint64_t leftover_bytes(const std::filesystem::path& folder);

  // Where to prepare files.
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return staging_; }

  // While it lives, no other StagingFolder at the same place is being made or publishes. File systems that
  // cannot lock folders go without.
  class FolderLock {
   public:
    explicit FolderLock(const std::filesystem::path& folder);
    ~FolderLock();
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;

   private:
    int fd_ = -1;
  };
  [[nodiscard]] FolderLock lock() const { return FolderLock(folder_); }

  // Moves the named files to their places in the order given, replacing what is there. The last one vouches
  // for the others: where it exists already it is removed first, so that it is never seen beside files that
  // are not its own. To be called under lock(). Throws InputError, before anything is moved, where a folder
  // stands at a file's place.
  void publish(const std::vector<std::string>& names);

 private:
  void make_folder();
  void remove_made() const noexcept;

  std::filesystem::path folder_;
  std::filesystem::path staging_;
  std::vector<std::filesystem::path> made_;  // folders made here, outermost first
  int lock_ = -1;
  bool published_ = false;
};

}  // namespace qvl
