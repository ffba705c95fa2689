// The steps of loading a model.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "runtime/ort_handle.h"
#include "runtime/session_options.h"
#include "runtime/tensor_info.h"

namespace qvl {

[[nodiscard]] OrtHandle<OrtSessionOptions> make_session_options(const SessionOptions& options);

[[nodiscard]] OrtHandle<OrtSession> load_session(const std::filesystem::path& model,
                                                 const OrtSessionOptions& options);

// A serialized model whose external data lies in the folder of `place`; the options learn of that folder.
[[nodiscard]] OrtHandle<OrtSession> load_session(std::string_view model, const std::filesystem::path& place,
                                                 OrtSessionOptions& options);

enum class ModelSide { inputs, outputs };
[[nodiscard]] std::vector<TensorInfo> describe(const OrtSession& session, ModelSide side,
                                               const std::filesystem::path& model);

}  // namespace qvl
