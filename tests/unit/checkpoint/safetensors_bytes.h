// Builds safetensors files, also broken ones, from parts.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qvl::test {

// The length, the header as given, and `data_bytes` bytes of data that count up from 0.
inline std::string safetensors_bytes(std::string_view header, std::size_t data_bytes,
                                     std::uint64_t length = ~std::uint64_t{0}) {
  if (length == ~std::uint64_t{0}) length = header.size();
  std::string file;
  for (unsigned shift = 0; shift < 64; shift += 8) file += static_cast<char>((length >> shift) & 0xffU);
  file += header;
  for (std::size_t i = 0; i < data_bytes; ++i) file += static_cast<char>(i & 0xffU);
  return file;
}

// "NAME":{"dtype":…,"shape":…,"data_offsets":[begin,end]}
inline std::string tensor_json(std::string_view name, std::string_view dtype, std::string_view shape,
                               std::uint64_t begin, std::uint64_t end) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", name, dtype, shape, begin,
                     end);
}

// {MEMBER,MEMBER,…}
inline std::string json_object(const std::vector<std::string>& members) {
  return fmt::format("{{{}}}", fmt::join(members, ","));
}

}  // namespace qvl::test
