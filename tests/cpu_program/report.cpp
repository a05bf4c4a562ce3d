// Counting, and failure lines of one form: case; run: what was expected and what came.
#include "report.h"

#include <cstdarg>
#include <cstdio>

namespace fastgan::test {

constexpr int64_t kShown = 20;

void Report::begin_case(const std::string& name) {
  case_ = name;
  ++cases_;
  std::snprintf(where_, sizeof where_, "%s", case_.c_str());
}

void Report::begin_run(const std::string& name) {
  ++runs_;
  std::snprintf(where_, sizeof where_, "%s; %s", case_.c_str(), name.c_str());
}

void Report::fail(const std::string& what) {
  ++failures_;
  if (failures_ <= kShown) std::fprintf(stderr, "FAIL %s: %s\n", where_, what.c_str());
  if (failures_ == kShown) std::fprintf(stderr, "(further failures are counted only)\n");
}

Report& report() {
  static Report the_report;
  return the_report;
}

std::string text(const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  return line;
}

}  // namespace fastgan::test
