#include "checkpoint/npz.h"

#include <gtest/gtest.h>

#include <span>
#include <utility>

#include "core/half.h"
#include "npz_bytes.h"
#include "support/error_text.h"
#include "support/test_data.h"

namespace qvl {
namespace {

using test::contains;
using test::input_error;
using test::npy_bytes;
using test::zip_bytes;
using test::ZipMember;

Tensor read(const NpzFile& file, const std::string& name) {
  for (std::size_t i = 0; i < file.entries().size(); ++i) {
    if (file.entries()[i].name == name) return file.read(i);
  }
  throw InputError("no " + name);
}

// Opens the archive and reads every array.
void read_all(const std::string& bytes) {
  const NpzFile file(std::as_bytes(std::span(bytes)), "x.npz");
  for (std::size_t i = 0; i < file.entries().size(); ++i) (void)file.read(i);
}

std::string error_of(const std::string& bytes) {
  return input_error([&] { read_all(bytes); });
}

// Three numbers as .npy.
std::string three_floats(const std::string& data = std::string(12, 'x')) {
  return npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", data);
}

template <class T>
void expect_counts_up(const Tensor& tensor, DType dtype, T first) {
  ASSERT_EQ(tensor.dtype(), dtype);
  ASSERT_EQ(tensor.shape(), (Shape{2, 3}));
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(tensor.as<T>()[i], static_cast<T>(first + static_cast<T>(i))) << name(dtype) << i;
  }
}

class NpzTypes : public testing::TestWithParam<const char*> {};

TEST_P(NpzTypes, EveryTypeThatNpyAndWeHave) {
  const NpzFile file(test::data("npz") / GetParam());
  ASSERT_EQ(file.entries().size(), 12U);
  expect_counts_up<float>(read(file, "f4"), DType::f32, -3);
  expect_counts_up<double>(read(file, "f8"), DType::f64, -3);
  expect_counts_up<std::int8_t>(read(file, "i1"), DType::i8, -3);
  expect_counts_up<std::int16_t>(read(file, "i2"), DType::i16, -3);
  expect_counts_up<std::int32_t>(read(file, "i4"), DType::i32, -3);
  expect_counts_up<std::int64_t>(read(file, "i8"), DType::i64, -3);
  expect_counts_up<std::uint8_t>(read(file, "u1"), DType::u8, 0);
  expect_counts_up<std::uint16_t>(read(file, "u2"), DType::u16, 0);
  expect_counts_up<std::uint32_t>(read(file, "u4"), DType::u32, 0);
  expect_counts_up<std::uint64_t>(read(file, "u8"), DType::u64, 0);
  const Tensor half = read(file, "f2");
  ASSERT_EQ(half.dtype(), DType::f16);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(to_float(Half{half.as<std::uint16_t>()[i]}), static_cast<float>(i) - 3);
  }
  const Tensor truth = read(file, "b1");
  ASSERT_EQ(truth.dtype(), DType::boolean);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(truth.as<std::uint8_t>()[i], i == 0 ? 0 : 1);
}

INSTANTIATE_TEST_SUITE_P(StoredAndDeflated, NpzTypes, testing::Values("types.npz", "types-deflated.npz"));

TEST(NpzFile, ShapesNamesAndOrder) {
  NpzFile opened(test::data("npz/shapes.npz"));
  const NpzFile file = std::move(opened);
  EXPECT_EQ(file.entries().front().name, "scalar");
  EXPECT_EQ(read(file, "scalar").shape(), Shape{});
  EXPECT_EQ(read(file, "scalar").as<float>()[0], 2.5F);
  EXPECT_EQ(read(file, "one").shape(), (Shape{1}));
  EXPECT_EQ(read(file, "empty").shape(), (Shape{0, 4}));
  EXPECT_EQ(read(file, "folder/größe").as<std::uint8_t>()[3], 3);
  const Tensor cube = read(file, "cube");
  const Tensor turned = read(file, "cube_fortran");
  const Tensor matrix = read(file, "matrix_fortran");
  ASSERT_EQ(turned.shape(), (Shape{2, 3, 4}));
  ASSERT_EQ(matrix.shape(), (Shape{3, 5}));
  for (std::size_t i = 0; i < 24; ++i) {
    EXPECT_EQ(cube.as<std::int16_t>()[i], static_cast<int>(i) - 3);
    EXPECT_EQ(turned.as<std::int16_t>()[i], static_cast<int>(i) - 3);
  }
  for (std::size_t i = 0; i < 15; ++i) EXPECT_EQ(matrix.as<double>()[i], static_cast<double>(i) - 3);
}

TEST(NpzFile, EveryVersionOfTheHeader) {
  const NpzFile file(test::data("npz/versions.npz"));
  ASSERT_EQ(file.entries().size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(file.read(i).as<float>()[2], -1);
}

TEST(NpzFile, Zip64) {
  const std::string bytes = test::read_file(test::data("npz/zip64.npz"));
  ASSERT_TRUE(contains(bytes, "PK\x06\x06"));
  const NpzFile file(std::as_bytes(std::span(bytes)), "zip64.npz");
  EXPECT_EQ(read(file, "a").as<float>()[3], 0);
  EXPECT_EQ(read(file, "b").as<std::int64_t>()[4], 1);
}

TEST(NpzFile, NamesTheMemberThatItDoesNotRead) {
  const std::pair<const char*, const char*> cases[] = {{"big-endian.npz", "big-endian numbers"},
                                                       {"objects.npz", "Python objects"},
                                                       {"complex.npz", "\"<c8\""},
                                                       {"text.npz", "\"<U2\""},
                                                       {"structured.npz", "structured array"}};
  for (const auto& [file, expected] : cases) {
    const std::string error = input_error([&, path = test::data("npz") / file] { NpzFile{path}; });
    EXPECT_TRUE(contains(error, expected) && contains(error, "\"x.npy\" in ") && contains(error, file))
        << error;
  }
}

TEST(NpzFile, RefusesMembersThatDoNotFit) {
  read_all(zip_bytes({{"a.npy", three_floats()}}));  // as it must be
  const std::string npy = three_floats();
  const auto size = static_cast<std::uint32_t>(npy.size());
  const std::pair<std::string, const char*> cases[] = {
      {zip_bytes({{"a.npy", three_floats(std::string(11, 'x'))}}),
       "has 11 bytes of elements; [3] of F32 take 12"},
      {zip_bytes({{"a.npy", three_floats(std::string(13, 'x'))}}), "has 13 bytes of elements"},
      {zip_bytes({{"a.npy",
                   npy_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846975,)}")}}),
       "take 9223372036854775800"},
      {zip_bytes({{"a.npy", npy}, {"a.npy", npy}}), "has \"a.npy\" twice"},
      {zip_bytes({{"a.txt", npy}}), "\"a.txt\" is not a .npy file"},
      {zip_bytes({{.name = "a.npy", .bytes = npy, .crc = 7}}), "CRC error"},
      {zip_bytes({{.name = "a.npy", .bytes = npy, .flags = 1}}), "is encrypted"},
      {zip_bytes({{.name = "a.npy", .bytes = npy, .method = 12}}), "compressed with method 12"},
      {zip_bytes({{.name = "a.npy", .bytes = npy, .size_bytes = size + 1}}), "cannot hold"},
      {zip_bytes({{.name = "a.npy", .bytes = npy, .method = 8, .size_bytes = 0xf0000000}}), "cannot hold"},
      {zip_bytes({{.name = "a.npy", .bytes = npy, .method = 8}}), "cannot be read"},
      {"PK\x03\x04", "not a valid .npz file"},
      {"", "it is empty"},
      {npy, "not a valid .npz file"},
  };
  for (const auto& [bytes, expected] : cases) {
    EXPECT_TRUE(contains(error_of(bytes), expected)) << expected << ": " << error_of(bytes);
  }
}

// The directory names one member's bytes three times.
TEST(NpzFile, RefusesMembersThatShareTheirBytes) {
  const std::string thousand =
      npy_bytes("{'descr': '|u1', 'fortran_order': False, 'shape': (1000,)}", std::string(1000, 'x'));
  std::string bytes = zip_bytes({{"a.npy", thousand}, {"b.npy", ""}, {"c.npy", ""}});
  const std::size_t first = bytes.find("PK\x01\x02");
  constexpr std::size_t kEntry = 46 + 5;
  for (std::size_t i = 1; i < 3; ++i) {
    // Sizes, checksum and place of the first; as the local header says.
    bytes.replace(first + i * kEntry + 16, 12, bytes.substr(first + 16, 12));
    bytes.replace(first + i * kEntry + 42, 4, bytes.substr(first + 42, 4));
  }
  EXPECT_TRUE(contains(error_of(bytes), "its members take more than its")) << error_of(bytes);
}

// What is deflated holds more, or less, than the directory and the header say.
TEST(NpzFile, DecompressesNothingBeyondTheDeclaredSize) {
  const std::string good = test::read_file(test::data("npz/zeros.npz"));
  const auto with_size = [&](std::uint32_t size) {  // in the directory, where it counts
    std::string bytes = good;
    std::string field;
    test::put_le(field, size, 4);
    return bytes.replace(bytes.find("PK\x01\x02") + 24, 4, field);
  };
  constexpr std::uint32_t kRight = 400'128;
  read_all(with_size(kRight));
  EXPECT_TRUE(contains(error_of(with_size(kRight - 4)), "bytes of elements"));
  EXPECT_TRUE(contains(error_of(with_size(kRight + 4)), "bytes of elements"));
  EXPECT_TRUE(contains(error_of(with_size(0xfffffff0)), "cannot hold"));
}

TEST(NpzFile, CutOrChangedBytesAreAResultOrAnInputError) {
  for (const char* name : {"versions.npz", "zip64.npz"}) {
    const std::string good = test::read_file(test::data("npz") / name);
    for (std::size_t size = 0; size < good.size(); ++size) {
      EXPECT_THROW(read_all(good.substr(0, size)), InputError) << name << size;
    }
    std::size_t refused = 0;
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (const int mask : {0x01, 0x80, 0xff}) {
        std::string changed = good;
        changed[at] = static_cast<char>(changed[at] ^ mask);
        refused += error_of(changed).empty() ? 0 : 1;
      }
    }
    EXPECT_GT(refused, good.size());  // the rest are dates, names and attributes
  }
}

}  // namespace
}  // namespace qvl
