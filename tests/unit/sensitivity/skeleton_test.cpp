// Where units stand in tables and maps.
#include "sensitivity/skeleton.h"

#include <gtest/gtest.h>

namespace qvl {
namespace {

struct Case {
  const char* name;
  const char* op;
  const char* layer;
  const char* kind;
};

TEST(PlaceOf, TakesNamesApart) {
  for (const Case& c :
       {Case{"/model/layers.3/self_attn/q_proj/MatMul", "MatMul", "/model/layers.3", "self_attn/q_proj"},
        Case{"/model/layers.12/mlp/up_proj/MatMul_1", "MatMul", "/model/layers.12", "mlp/up_proj"},
        Case{"/blocks.0/attn/qkv/Gemm", "Gemm", "/blocks.0", "attn/qkv"},
        Case{"/encoder/layer/7/output/dense/MatMul", "MatMul", "/encoder/layer/7", "output/dense"},
        Case{"/layer1/layer1.0/conv1/Conv", "Conv", "/layer1/layer1.0", "conv1"},
        Case{"/layers.1/experts.5/w1/MatMul", "MatMul", "/layers.1/experts.5", "w1"},
        Case{"/layers.1/MatMul", "MatMul", "part", "layers.1"},
        Case{"/lm_head/MatMul", "MatMul", "part", "lm_head"}, Case{"/MatMul", "MatMul", "part", "MatMul"},
        Case{"MatMul", "MatMul", "part", "MatMul"}, Case{"MatMul:y", "MatMul", "part", "MatMul:y"},
        Case{"dense", "Gemm", "part", "dense"}, Case{"/", "Gemm", "part", "Gemm"}}) {
    const UnitPlace place = place_of(c.name, c.op, "part");
    EXPECT_EQ(place.layer, c.layer) << c.name;
    EXPECT_EQ(place.kind, c.kind) << c.name;
  }
}

}  // namespace
}  // namespace qvl
