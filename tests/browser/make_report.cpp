// make_report 3b|tiny|plain|hostile|empty FOLDER: writes the four reports of a made-up measurement, to look
// at and to test the page with.
#include <cstdio>
#include <functional>
#include <map>
#include <string>

#include "qvl/error.h"
#include "sensitivity/report_files.h"
#include "support/fake_report.h"

int main(int argc, char** argv) {
  const std::map<std::string, std::function<qvl::SensitivityReport()>> reports{
      {"3b", qvl::test::fake_3b_report},
      {"tiny", qvl::test::fake_tiny_report},
      {"plain", qvl::test::fake_plain_report},
      {"hostile", qvl::test::fake_hostile_report},
      {"empty", [] { return qvl::SensitivityReport(); }}};
  const auto found = argc == 3 ? reports.find(argv[1]) : reports.end();
  if (found == reports.end()) {
    std::fputs("usage: make_report 3b|tiny|plain|hostile|empty FOLDER\n", stderr);
    return 2;
  }
  try {
    qvl::write_reports(found->second(), argv[2]);
  } catch (const qvl::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
