// The steps of loading a model.
#pragma once

#include <filesystem>
#include <vector>

#include "runtime/ort_handle.h"
#include "runtime/session_options.h"
#include "runtime/tensor_info.h"

namespace qvl {

[[nodiscard]] OrtHandle<OrtSessionOptions> make_session_options(const SessionOptions& options);

[[nodiscard]] OrtHandle<OrtSession> load_session(const std::filesystem::path& model,
                                                 const OrtSessionOptions& options);

enum class ModelSide { inputs, outputs };
[[nodiscard]] std::vector<TensorInfo> describe(const OrtSession& session, ModelSide side,
                                               const std::filesystem::path& model);

}  // namespace qvl
