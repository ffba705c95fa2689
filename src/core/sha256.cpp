#include "core/sha256.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "qvl/error.h"

namespace qvl {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1) {
    throw MachineError("OpenSSL has no SHA-256 on this machine");
  }
}

Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

std::string Sha256::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_DigestFinal_ex(state_->context, digest.data(), &size);
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", digest[i]);
  return text;
}

std::string sha256_of(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

std::string sha256_of(std::string_view text) { return sha256_of(std::as_bytes(std::span(text))); }

std::string sha256_of_file(const std::filesystem::path& path, const CancelToken* cancel,
                           const std::function<void(std::uint64_t)>& advance) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw InputError(fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)));
  Sha256 sha;
  std::vector<std::byte> block(std::size_t{1} << 20U);
  while (true) {
    const ssize_t n = ::read(fd, block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || (cancel != nullptr && cancel->cancelled())) {
      const int error = errno;
      ::close(fd);
      if (n < 0) throw InputError(fmt::format("cannot read {}: {}", path.string(), std::strerror(error)));
      break;
    }
    sha.update(std::span(block).first(static_cast<std::size_t>(n)));
    if (advance) advance(static_cast<std::uint64_t>(n));
  }
  if (cancel != nullptr) cancel->throw_if_cancelled();
  return sha.hex();
}

}  // namespace qvl
