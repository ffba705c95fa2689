// A checkpoint folder with the model that it holds.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "models/model.h"

namespace qvl {

struct ModelCheckpoint {
  Checkpoint files;
  std::shared_ptr<const Model> model;
  // What somebody should know who thinks that the files say something else; a sentence each.
  std::vector<std::string> notices;

  // Reads config.json and the headers of the weights. Throws InputError as read_model and Checkpoint::open.
  //
  // Where config.json ties lm_head to the embedding, `model` is what the tensors say, as in transformers 5:
  // two stored tensors of different values are not tied (a fine-tune whose head was trained by itself), which
  // `notices` says, too; a stored lm_head.weight alone is the embedding. For that, both are read.
  [[nodiscard]] static ModelCheckpoint open(const std::filesystem::path& folder);
};

}  // namespace qvl
