// The C API from outside: damaged files, odd plans, no memory, many threads. For a sanitizer to watch.
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "checks.h"

namespace {

using namespace fastgan::test;

constexpr const char* kHelp =
    "usage: c_api_program [--only damage|random|memory|threads] PLAN...\n"
    "\n"
    "Checks libfastgan with files that `fastgan export` wrote, small ones. Prints a line for each failure "
    "and\n"
    "a summary; exits with 0 if all is right, 1 if not, 2 for a wrong argument.\n";
constexpr int kRandomPlans = 400;

std::atomic<int64_t> passes{0}, failures{0};

int wrong_argument(const std::string& what) {
  std::fprintf(stderr, "c_api_program: %s\n%s", what.c_str(), kHelp);
  return 2;
}

}  // namespace

namespace fastgan::test {

void passed() { ++passes; }

void fail(const std::string& what) {
  if (++failures <= 20) std::fprintf(stderr, "FAIL %s\n", what.c_str());
}

}  // namespace fastgan::test

int main(int count, char** values) {
  std::string only;
  std::vector<PlanFile> files;
  for (int i = 1; i < count; ++i) {
    const std::string value = values[i];
    if (value == "--help") return std::fputs(kHelp, stdout), 0;
    if (value == "--only" && i + 1 < count) {
      only = values[++i];
      continue;
    }
    std::ifstream stream(value, std::ios::binary);
    if (!stream) return wrong_argument("cannot read " + value);
    files.push_back({value, Bytes(std::istreambuf_iterator<char>(stream), {})});
  }
  if (files.empty()) return wrong_argument("a plan is missing");
  const auto wanted = [&](const char* check) { return only.empty() || only == check; };
  for (const PlanFile& file : files) {
    if (wanted("damage")) check_damage(file);
    if (wanted("memory")) check_memory(file);
    if (wanted("threads")) check_threads(file);
  }
  if (wanted("random")) check_random_plans(kRandomPlans);
  if (passes == 0) return wrong_argument("there is no check " + only);
  std::printf("%s: %lld calls with %zu plans, %lld failures\n", failures == 0 ? "ok" : "FAILED",
              static_cast<long long>(passes), files.size(), static_cast<long long>(failures));
  return failures == 0 ? 0 : 1;
}
