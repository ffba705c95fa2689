// Model and data as they are given on a command line.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "replay/program.h"

namespace qvl {

// `model`: an ONNX file with a folder of tensors as `data`, or a model folder with a JSONL file of chats.
// `samples`: the first so many; 0: all. `output`: as in SensitivityOptions. Throws InputError for what does
// not go together.
[[nodiscard]] std::unique_ptr<Program> open_program(const std::filesystem::path& model,
                                                    const std::filesystem::path& data, int samples,
                                                    const CancelToken* cancel, const InputOptions& input,
                                                    const std::string& output = "");

}  // namespace qvl
