#include "image/picture.h"

#include <fmt/format.h>

#include <charconv>
#include <system_error>

#include "core/base64.h"
#include "core/sha256.h"
#include "qvl/error.h"

namespace qvl {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFile = "file://";
constexpr std::string_view kData = "data:";
constexpr std::size_t kLongestName = 60;

// What is no %XX stays as it is.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size()) {
      const char* first = text.data() + i + 1;
      const auto [end, error] = std::from_chars(first, first + 2, value, 16);
      if (error == std::errc() && end == first + 2) {
        out += static_cast<char>(static_cast<unsigned char>(value));
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

fs::path path_of_url(std::string_view url) {
  std::string_view rest = url.substr(kFile.size());
  const std::string_view host = rest.substr(0, rest.find('/'));
  if (!host.empty() && host != "localhost") {
    throw InputError(
        fmt::format("{}: a file of this machine is expected, file:///PATH; this names the host {}",
                    url.substr(0, kLongestName), host.substr(0, kLongestName)));
  }
  rest.remove_prefix(host.size());
  std::error_code error;
  // Many write paths with a "%" or a blank as they are.
  return fs::exists(fs::path(rest), error) ? fs::path(rest) : fs::path(percent_decoded(rest));
}

std::vector<std::byte> bytes_of_url(std::string_view url) {
  const std::size_t comma = url.find(',');
  const std::string_view kind = url.substr(0, comma);
  if (comma == std::string_view::npos || !kind.ends_with(";base64")) {
    throw InputError(fmt::format("{}…: data:image/TYPE;base64,… is expected", url.substr(0, kLongestName)));
  }
  auto bytes = decode_base64(url.substr(comma + 1));
  if (!bytes) {
    throw InputError(fmt::format("{}…: what follows the comma is not base64", url.substr(0, kLongestName)));
  }
  return std::move(*bytes);
}

}  // namespace

Picture Picture::at(std::string_view reference, const fs::path& folder) {
  Picture picture;
  if (reference.starts_with(kData)) {
    picture.bytes_ = std::make_shared<const std::vector<std::byte>>(bytes_of_url(reference));
    const std::string hash = sha256_of(*picture.bytes_);
    picture.key_ = "data:" + hash;
    picture.name_ = fmt::format("{},… ({} bytes, SHA-256 {}…)", reference.substr(0, reference.find(',')),
                                picture.bytes_->size(), hash.substr(0, 12));
    return picture;
  }
  const fs::path path = reference.starts_with(kFile) ? path_of_url(reference) : fs::path(reference);
  picture.path_ = (folder / path).lexically_normal();
  picture.name_ = picture.key_ = picture.path_.string();
  return picture;
}

std::string Picture::sha256(const CancelToken* cancel) const {
  return is_file() ? sha256_of_file(path_, cancel) : sha256_of(*bytes_);
}

RgbImage Picture::read(const DecodeOptions& options, bool* transparent) const {
  return is_file() ? read_image(path_, options, transparent)
                   : decode_image(*bytes_, name_, options, transparent);
}

}  // namespace qvl
