// The protobufs behind OnnxModel, GraphBuilder and ParsedModel; private to this layer.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "onnx/onnx_model.h"
#include "onnx/parsed_model.h"

namespace qvl {

struct OnnxModel::State {
  onnx::ModelProto model;
  std::vector<ExternalTensor> external;
  std::uint64_t external_size_bytes = 0;
};

struct ParsedModel::State {
  std::filesystem::path path;
  onnx::ModelProto model;
  std::map<std::string, std::uint64_t> unwritten;  // files of external data that have a size and no bytes yet
};

}  // namespace qvl
