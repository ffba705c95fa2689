#include "core/sha256.h"

#include <gtest/gtest.h>

#include "support/test_data.h"

namespace qvl {
namespace {

// FIPS 180-4's examples.
TEST(Sha256, EqualsTheStandardsExamples) {
  Sha256 abc;
  abc.update(std::as_bytes(std::span("abc", 3)));
  EXPECT_EQ(abc.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 empty;
  EXPECT_EQ(empty.hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, OfAFile) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "a", std::string(1000000, 'a'));
  EXPECT_EQ(sha256_of_file(folder.path() / "a"),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, IsInterrupted) {
  const test::TemporaryFolder folder;
  test::write_file(folder.path() / "a", "x");
  CancelToken cancel;
  cancel.cancel();
  EXPECT_THROW((void)sha256_of_file(folder.path() / "a", &cancel), Interrupted);
}

}  // namespace
}  // namespace qvl
