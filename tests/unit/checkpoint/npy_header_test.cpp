#include "checkpoint/npy_header.h"

#include <gtest/gtest.h>

#include <span>

#include "npz_bytes.h"
#include "support/error_text.h"

namespace qvl {
namespace {

using test::contains;
using test::input_error;
using test::npy_bytes;

NpyHeader parse(const std::string& file) { return parse_npy_header(std::as_bytes(std::span(file)), "x.npy"); }

std::string error_of(const std::string& dictionary) {
  return input_error([&] { (void)parse(npy_bytes(dictionary)); });
}

TEST(NpyHeader, ReadsTypeShapeAndOrder) {
  const std::string dictionary = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }      \n";
  const NpyHeader header = parse(npy_bytes(dictionary));
  EXPECT_EQ(header.dtype, DType::f32);
  EXPECT_EQ(header.shape, (Shape{2, 3}));
  EXPECT_TRUE(header.fortran_order);
  EXPECT_EQ(header.header_bytes, 10U + dictionary.size());
  EXPECT_EQ(header.data_bytes, 24U);
}

TEST(NpyHeader, TakesTheFormsThatPythonTakes) {
  EXPECT_EQ(parse(npy_bytes(R"({"shape":(7L,),"descr":"|u1","fortran_order":False})")).shape, (Shape{7}));
  EXPECT_EQ(parse(npy_bytes("{'descr': '>b1', 'shape': (), 'fortran_order': False}")).data_bytes, 1U);
  EXPECT_EQ(parse(npy_bytes("{'descr': '<i8', 'shape': (3, 0,), 'fortran_order': False}")).data_bytes, 0U);
}

TEST(NpyHeader, SaysWhatItDoesNotRead) {
  const auto type_error = [](const std::string& descr) {
    return error_of("{'descr': " + descr + ", 'fortran_order': False, 'shape': (3,), }");
  };
  EXPECT_TRUE(contains(type_error("'>f4'"), "x.npy holds big-endian numbers (\">f4\")"));
  EXPECT_TRUE(contains(type_error("'|O'"), "Python objects"));
  EXPECT_TRUE(contains(type_error("'<V2'"), "bfloat16 is read from safetensors"));
  EXPECT_TRUE(contains(type_error("[('a', '<f4')]"), "structured array"));
  for (const char* descr :
       {"'<c8'", "'<U5'", "'|S3'", "'<M8[ns]'", "'<f16'", "'<f1'", "''", "'f4'", "'|i2'"}) {
    EXPECT_TRUE(contains(type_error(descr), "which qvl does not read")) << descr << type_error(descr);
  }
}

TEST(NpyHeader, RefusesWhatIsNoHeader) {
  const std::string rest = "'descr': '<f4', 'fortran_order': False";
  const std::pair<std::string, const char*> cases[] = {
      {"", "its end where"},
      {"{", "its end where"},
      {"{}", "no 'descr'"},
      {"{'descr': '<f4'}", "no 'fortran_order'"},
      {"{" + rest + "}", "no 'shape'"},
      {"{" + rest + ", 'shape': (3,), 'more': 1}", "unknown key \"more\""},
      {"{" + rest + ", 'descr': '<f4'}", "\"descr\" twice"},
      {"{" + rest + " 'shape': (3,)}", "a comma or }"},
      {"{" + rest + ", 'shape': (3,)} + 1", "nothing more"},
      {"{" + rest + ", 'shape': (3)}", "a comma"},
      {"{" + rest + ", 'shape': (3 4)}", "a comma"},
      {"{" + rest + ", 'shape': (-3,)}", "a number of 0 and more"},
      {"{" + rest + ", 'shape': (,)}", "a number of 0 and more"},
      {"{" + rest + ", 'shape': (9223372036854775808,)}", "too large"},
      {"{" + rest + ", 'shape': (4294967296, 4294967296)}", "impossible"},
      {"{" + rest + ", 'shape': (4611686018427387904,)}", "impossible"},
      {"{'descr': '<f4', 'fortran_order': 1}", "True or False"},
      {"{'descr: ", "quotes that end"},
      {"{descr: ", "a text in quotes"},
  };
  for (const auto& [dictionary, expected] : cases) {
    EXPECT_TRUE(contains(error_of(dictionary), expected)) << dictionary << ": " << error_of(dictionary);
  }
  std::string dimensions;
  for (int i = 0; i < 33; ++i) dimensions += "1,";
  EXPECT_TRUE(contains(error_of("{" + rest + ", 'shape': (" + dimensions + ")}"), "more than 32 dimensions"));
}

TEST(NpyHeader, RefusesOtherVersionsAndLengths) {
  const std::string good = npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }");
  std::string version = good;
  version[6] = 4;
  EXPECT_TRUE(contains(input_error([&] { (void)parse(version); }), "it is of version 4.0"));
  std::string long_header = good;
  long_header[6] = 2;  // four bytes of length: the two that follow are "{'"
  EXPECT_TRUE(contains(input_error([&] { (void)parse(long_header); }), "longer than the 1 MiB"));
  EXPECT_TRUE(contains(input_error([&] { (void)parse("PK\x03\x04"); }), "does not begin with"));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_THROW((void)parse(good.substr(0, size)), InputError) << size;
  }
}

}  // namespace
}  // namespace qvl
