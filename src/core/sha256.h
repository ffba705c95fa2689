// SHA-256 (FIPS 180-4), by OpenSSL.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "qvl/progress.h"

namespace qvl {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::span<const std::byte> bytes);
  // 64 lower-case hexadecimal digits. Nothing may be added afterwards.
  [[nodiscard]] std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Of a few bytes at hand.
[[nodiscard]] std::string sha256_of(std::span<const std::byte> bytes);
[[nodiscard]] std::string sha256_of(std::string_view text);

// Streams the file; `cancel` may be null; `advance`, when given, is told of the bytes done. Throws InputError
// when the file cannot be read, Interrupted when cancelled.
[[nodiscard]] std::string sha256_of_file(const std::filesystem::path& path,
                                         const CancelToken* cancel = nullptr,
                                         const std::function<void(std::uint64_t)>& advance = {});

}  // namespace qvl
