// What is measured: the models of a folder, or one model, with the samples that go through them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "qvl/input.h"
#include "qvl/progress.h"
#include "replay/answer_rows.h"
#include "replay/model_part.h"
#include "replay/values.h"

namespace qvl {

// One run of a part: a picture in the vision encoder, a sample in the last part.
struct PartItem {
  Values inputs;  // of the graph, but for those that the part before it gives
};

struct Sample {
  std::string name;                   // "calibration.jsonl:3"
  std::string sha256;                 // of its content
  std::vector<std::size_t> pictures;  // items of the first of two parts, in the order of the prompt
  AnswerRows answer;                  // rows of the output that kl is taken at; what they should say
  std::vector<RowKind> rows;          // of the last part's tokens; empty where they are not known
};

class Program {
 public:
  std::vector<std::unique_ptr<ModelPart>> parts;  // one, or vision and text
  std::vector<std::vector<PartItem>> items;       // by part; of the last one: one a sample
  std::vector<Sample> samples;
  bool has_logits = false;
  std::vector<FixedBranch> fixed;  // branches that all samples take
  std::string model_name;          // for reports: file name, or those of a folder's artifacts

  // The last part's changed inputs from what the first part gave for each picture of the sample, in order.
  std::function<Values(const Sample& sample, std::size_t index, std::span<const HeldTensor> features)> join;
  // For samples without an answer: makes the next token part of the last part's inputs, or says that it ends
  // the answer. Null where no answers are known.
  std::function<bool(std::size_t sample, std::int64_t token)> extend;

  [[nodiscard]] std::size_t unit_count() const;
  [[nodiscard]] const ModelPart& part_of(std::size_t unit) const;
  [[nodiscard]] const Unit& unit(std::size_t index) const;
  // Numbers the units over all parts, the last step of making a program. Throws InputError where two parts
  // have a unit of the same name.
  void number_units();
};

// `data` is a JSONL file of chats, `folder` a model folder. `samples`: the first so many; 0: all. Throws
// InputError for what does not go together. `output`: as in SensitivityOptions.
[[nodiscard]] std::unique_ptr<Program> chat_program(const std::filesystem::path& folder,
                                                    const std::filesystem::path& data, std::size_t samples,
                                                    const CancelToken* cancel, const InputOptions& input,
                                                    const std::string& output = "");

// `data` is a folder of named tensors, one file a sample, `model` an ONNX file. Where the output that is
// ranked by is called logits, kl is taken at every row that the input attention_mask (if there is one)
// leaves.
[[nodiscard]] std::unique_ptr<Program> tensor_program(const std::filesystem::path& model,
                                                      const std::filesystem::path& data, std::size_t samples,
                                                      const std::string& output = "");

}  // namespace qvl
