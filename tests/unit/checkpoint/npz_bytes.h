// The bytes of zip archives and .npy files, right or wrong.
// The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qvl::test {

struct ZipMember {
  std::string name;
  std::string bytes;  // as they stand in the archive
  unsigned method = 0;
  unsigned flags = 0;
  std::optional<std::uint32_t> size_bytes{};  // uncompressed; as many as there are
  std::optional<std::uint32_t> crc{};         // of the bytes as they stand
};

inline void put_le(std::string& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xffU);
}

inline std::uint32_t crc32(const std::string& bytes) {
  std::uint32_t crc = ~0U;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

inline std::string zip_bytes(const std::vector<ZipMember>& members) {
  std::string file;
  std::string directory;
  for (const ZipMember& member : members) {
    const auto offset = static_cast<std::uint32_t>(file.size());
    const auto stored = static_cast<std::uint32_t>(member.bytes.size());
    std::string fields;  // that the local header and the directory have in common
    put_le(fields, 45, 2);
    put_le(fields, member.flags, 2);
    put_le(fields, member.method, 2);
    put_le(fields, 0x00210000, 4);  // 1980-01-01
    put_le(fields, member.crc.value_or(crc32(member.bytes)), 4);
    put_le(fields, stored, 4);
    put_le(fields, member.size_bytes.value_or(stored), 4);
    put_le(fields, static_cast<std::uint32_t>(member.name.size()), 2);
    put_le(fields, 0, 2);
    file += "PK\x03\x04" + fields + member.name + member.bytes;
    directory += "PK\x01\x02-";
    directory += '\0';
    directory += fields + std::string(10, '\0');
    put_le(directory, offset, 4);
    directory += member.name;
  }
  const auto count = static_cast<std::uint32_t>(members.size());
  const auto begin = static_cast<std::uint32_t>(file.size());
  file += directory + "PK\x05\x06" + std::string(4, '\0');
  put_le(file, count, 2);
  put_le(file, count, 2);
  put_le(file, static_cast<std::uint32_t>(directory.size()), 4);
  put_le(file, begin, 4);
  put_le(file, 0, 2);
  return file;
}

// Version 1.0 with this dictionary.
inline std::string npy_bytes(const std::string& dictionary, const std::string& data = {}) {
  std::string file = "\x93NUMPY\x01";
  file += '\0';
  put_le(file, static_cast<std::uint32_t>(dictionary.size()), 2);
  return file + dictionary + data;
}

}  // namespace qvl::test
