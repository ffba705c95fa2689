#include "evaluation/kept_logits.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>

#include "qvl/error.h"

namespace qvl {
namespace {

std::filesystem::path temporary_folder() {
  std::error_code error;
  std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  if (error) throw MachineError("there is no temporary folder: TMPDIR names one that is none");
  return folder;
}

int unnamed_file(const std::filesystem::path& folder) {
  std::string name = (folder / "qvl-logits-XXXXXX").string();
  const int file = ::mkostemp(name.data(), O_CLOEXEC);
  if (file < 0) {
    throw MachineError(fmt::format("no temporary file can be made in {}: {}; TMPDIR names another folder",
                                   folder.string(), std::strerror(errno)));
  }
  ::unlink(name.c_str());
  return file;
}

}  // namespace

KeptLogits::~KeptLogits() {
  if (file_ >= 0) ::close(file_);
}

void KeptLogits::add(Tensor logits) {
  Kept kept;
  kept.shape = logits.shape();
  const std::uint64_t bytes = logits.bytes().size();
  if (bytes <= room_bytes_) {
    room_bytes_ -= bytes;
    kept.tensor = std::move(logits);
  } else {
    kept.in_file = true;
    kept.offset = file_bytes_;
    write(logits.bytes());
  }
  kept_.push_back(std::move(kept));
}

void KeptLogits::write(std::span<const std::byte> bytes) {
  const std::filesystem::path folder = temporary_folder();
  if (file_ < 0) file_ = unnamed_file(folder);
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(file_bytes_));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      throw MachineError(
          fmt::format("the reference's logits cannot be kept in {}: {}; TMPDIR names another folder",
                      folder.string(), std::strerror(written < 0 ? errno : ENOSPC)));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    file_bytes_ += static_cast<std::uint64_t>(written);
  }
}

Tensor KeptLogits::at(std::size_t index) const {
  const Kept& kept = kept_.at(index);
  if (!kept.in_file) return kept.tensor;
  Tensor tensor(DType::f32, kept.shape);
  std::span<std::byte> rest = tensor.bytes();
  std::uint64_t place = kept.offset;
  while (!rest.empty()) {
    const ssize_t got = ::pread(file_, rest.data(), rest.size(), static_cast<off_t>(place));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      throw MachineError(fmt::format("the reference's logits cannot be read again: {}",
                                     std::strerror(got < 0 ? errno : EIO)));
    }
    rest = rest.subspan(static_cast<std::size_t>(got));
    place += static_cast<std::uint64_t>(got);
  }
  return tensor;
}

}  // namespace qvl
