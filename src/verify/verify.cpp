#include "qvl/verify.h"

#include <optional>

#include "verify/check_list.h"
#include "verify/file_checks.h"
#include "verify/goldens.h"
#include "verify/graph_checks.h"
#include "verify/run_checks.h"
#include "verify/stage_checks.h"
#include "verify/subject.h"
#include "verify/text_input.h"
#include "verify/weight_checks.h"

namespace qvl {
Certificate verify_folder(const VerifyOptions& options) {
  (void)provider_of(options);  // a provider that does not exist is no result of hours of work
  Subject subject = open_subject(options);
  CheckList checks;
  check_files(subject, checks);
  check_configs(subject, checks);
  std::optional<Goldens> goldens;
  if (!options.goldens.empty() && subject.configs)
    goldens = Goldens::open(options.goldens, *subject.configs->model);
  check_checksums(subject, checks);
  check_graphs(subject, checks);
  check_constants(subject, checks);
  check_weights(subject, checks);
  SharedProgress progress(options.progress);
  if (options.run) {
    progress.begin("runs", 0);
    check_runs(subject, checks);
    progress.end();
  } else {
    checks.add("run", skipped("the models are not run"));
  }
  Certificate certificate;
  if (goldens) {
    progress.begin("goldens", 0);
    certificate.first_divergence = check_stages(subject, *goldens, checks);
    progress.end();
  } else if (!options.goldens.empty()) {
    checks.add("goldens", skipped("the configs cannot be read"));
  }
  certificate.checks = checks.take();
  return certificate;
}

}  // namespace qvl
