#include "onnx/build/dim.h"

#include <gtest/gtest.h>

#include "qvl/error.h"

namespace qvl {
namespace {

TEST(Dim, MultipliesNumbersAndSymbols) {
  const Dim batch = Dim::symbol("batch");
  const Dim seq = Dim::symbol("seq");
  EXPECT_EQ((batch * seq).text(), "batch*seq");
  EXPECT_EQ(batch * seq, seq * batch);
  EXPECT_EQ((Dim(2) * seq * Dim(3)).text(), "6*seq");
  EXPECT_NE(batch, seq);
  EXPECT_NE(batch * batch, batch);
  EXPECT_EQ(Dim(0) * seq, Dim(0));
  EXPECT_EQ(product({batch, 4, seq, 5}), Dim(20) * batch * seq);
  EXPECT_EQ(to_string(SymbolicShape{batch, 4}), "[batch, 4]");
  EXPECT_THROW((void)seq.value(), UsageError);
}

}  // namespace
}  // namespace qvl
