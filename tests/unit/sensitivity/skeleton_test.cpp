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
        Case{"/layer1/layer1.0/downsample/downsample.0/Conv", "Conv", "/layer1/layer1.0",
             "downsample/downsample.0"},
        Case{"/stage2/block.1/conv1/Conv", "Conv", "/stage2/block.1", "conv1"},
        Case{"/stage2/conv1/Conv", "Conv", "/stage2", "conv1"},
        Case{"/encoder/layer_3/attention/MatMul_1", "MatMul", "/encoder/layer_3", "attention"},
        Case{"/resnet/encoder/stages.0/layers.1/layer/layer.2/convolution/Conv", "Conv",
             "/resnet/encoder/stages.0/layers.1", "layer/layer.2/convolution"},
        Case{"/features/features.2/conv/conv.0/conv.0.0/Conv", "Conv", "/features/features.2",
             "conv/conv.0/conv.0.0"},
        Case{"layer1.0.conv2", "Conv", "layer1.0", "conv2"},
        Case{"features.3.conv.0.0", "Conv", "features.3", "conv.0.0"},
        Case{"model.layers.3.self_attn.q_proj", "MatMul", "model.layers.3", "self_attn.q_proj"},
        Case{"resnetv17_stage1_conv0_fwd", "Conv", "resnetv17_stage1", "conv0_fwd"},
        Case{"conv2d_19", "Conv", "part", "conv2d_19"},
        Case{"Conv_12", "Conv", "part", "Conv_12"},
        Case{"groupnorm1/dense/MatMul", "MatMul", "part", "groupnorm1/dense"},
        Case{"/layers.1/MatMul", "MatMul", "part", "layers.1"},
        Case{"/lm_head/MatMul", "MatMul", "part", "lm_head"},
        Case{"/MatMul", "MatMul", "part", "MatMul"},
        Case{"MatMul", "MatMul", "part", "MatMul"},
        Case{"MatMul:y", "MatMul", "part", "MatMul:y"},
        Case{"dense", "Gemm", "part", "dense"},
        Case{"/", "Gemm", "part", "Gemm"}}) {
    const UnitPlace place = place_of(c.name, c.op, "part");
    EXPECT_EQ(place.layer, c.layer) << c.name;
    EXPECT_EQ(place.kind, c.kind) << c.name;
  }
}

}  // namespace
}  // namespace qvl
