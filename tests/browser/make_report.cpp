// make_report 3b|tiny|plain|resnet|hostile|empty FOLDER [PLANS]: writes the four reports of a made-up
// measurement, to look at and to test the page with; with PLANS (0 or more) also a curve of error against
// size with so many on it.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>

#include "qvl/error.h"
#include "sensitivity/report/report_files.h"
#include "support/fake_report.h"

int main(int argc, char** argv) {
  const std::map<std::string, std::function<qvl::SensitivityReport()>> reports{
      {"3b", qvl::test::fake_3b_report},           {"tiny", qvl::test::fake_tiny_report},
      {"plain", qvl::test::fake_plain_report},     {"resnet", qvl::test::fake_resnet_report},
      {"hostile", qvl::test::fake_hostile_report}, {"empty", [] { return qvl::SensitivityReport(); }}};
  const auto found = argc == 3 || argc == 4 ? reports.find(argv[1]) : reports.end();
  if (found == reports.end()) {
    std::fputs("usage: make_report 3b|tiny|plain|resnet|hostile|empty FOLDER [PLANS]\n", stderr);
    return 2;
  }
  try {
    qvl::SensitivityReport report = found->second();
    if (argc == 4) report.front = qvl::test::fake_front(report, std::atoi(argv[3]));
    qvl::write_reports(report, argv[2]);
  } catch (const qvl::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
