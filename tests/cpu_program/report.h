// What is being checked, and how it went so far.
#pragma once

#include <cstdint>
#include <string>

namespace fastgan::test {

class Report {
 public:
  void begin_case(const std::string& name);
  // One call of the kernels under test: what differs from the case's other calls.
  void begin_run(const std::string& name);
  // Prints `FAIL case; run: text`, the first few times.
  void fail(const std::string& text);

  // The case and the run at hand.
  const char* where() const { return where_; }
  int64_t cases() const { return cases_; }
  int64_t runs() const { return runs_; }
  int64_t failures() const { return failures_; }

 private:
  std::string case_;
  char where_[512] = "start";  // no string: a signal handler reads it
  int64_t cases_ = 0, runs_ = 0, failures_ = 0;
};

Report& report();

// As printf into a string.
__attribute__((format(printf, 1, 2))) std::string text(const char* format, ...);

}  // namespace fastgan::test
