// Is everything there that the manifest lists, and is it what the exporter wrote?
#pragma once

#include "verify/check_list.h"
#include "verify/subject.h"

namespace qvl {

// "files": artifacts, configs and tokenizer are there, and of the manifest's sizes; nothing else is that qvl
// would read as if it were exported. What else lies there is named. Sets `whole` of the artifacts.
void check_files(Subject& subject, CheckList& checks);
// "checksums": SHA-256 of every file of the manifest; a file with several names is hashed once. Two threads.
// "checksums.configs", skipped: where the manifest is of an older version, which has none of configs.
void check_checksums(Subject& subject, CheckList& checks);
// "configs": config.json, generation_config.json, the preprocessor's and the tokenizer's files can be read
// and fit each other, and, where there is a checkpoint, are byte for byte its own. Sets `configs`.
void check_configs(Subject& subject, CheckList& checks);

}  // namespace qvl
