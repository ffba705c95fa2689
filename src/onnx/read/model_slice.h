// Which part of a ModelGraph becomes a model of its own, and what is changed in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace qvl {

// How a node's first operand is rounded to 8 bits and back before the node takes it. u8 per tensor.
enum class OperandRounding {
  none,
  dynamic,  // range of the tensor itself: DynamicQuantizeLinear
  fixed     // scale and zero point are inputs of the slice
};

struct ModelSlice {
  struct Input {
    std::string name;
    DType dtype = DType::f32;
    // Of what is given, for the bodies of If, Loop and Scan, where the model does not tell.
    std::optional<std::size_t> rank = std::nullopt;
  };
  // The node's second operand becomes the f32 input `weight` of the slice.
  struct Replacement {
    std::size_t node = 0;
    std::string weight;
    OperandRounding rounding = OperandRounding::none;
    std::string scale;       // f32 [] input, for OperandRounding::fixed
    std::string zero_point;  // u8 [] input, likewise
  };

  std::vector<std::size_t> nodes;  // ascending
  std::vector<Input> inputs;       // values that other nodes make, and inputs of the model
  std::vector<std::string> outputs;
  std::vector<Replacement> replacements;  // of nodes of the slice
  // Seeds nodes that draw random numbers and have no seed of their own, each differently.
  std::optional<std::uint64_t> draw_seed = std::nullopt;
  // Attentions that are plain MatMul, Softmax, MatMul become one node each, of the operator Attention in the
  // domain qvl (runtime/own_operators.h).
  bool fuse_attention = false;
  // The same with the bits of these steps (attribute `steps`), where there is neither a factor nor a choice
  // for NaN between them.
  bool block_attention = false;
  // Rotations of queries and keys become one node each, Rotary of the domain qvl, which gives the same bits.
  bool fuse_rotary = false;
};

}  // namespace qvl
