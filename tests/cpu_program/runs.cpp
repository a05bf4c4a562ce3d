// Thread pools, and the loop over capabilities.
#include "runs.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "cpu/capability.h"
#include "report.h"

namespace fastgan::test {

void one_thread(int64_t count, int64_t, cpu::RangeBody body, void* context) {
  if (count > 0) body(0, count, context);
}

void three_threads(int64_t count, int64_t grain, cpu::RangeBody body, void* context) {
  const int64_t piece = std::max<int64_t>({1, grain, (count + 6) / 7});
  const int64_t pieces = (count + piece - 1) / piece;
  std::atomic<int64_t> left{pieces};
  const auto work = [&] {
    for (int64_t i; (i = left.fetch_sub(1) - 1) >= 0;)
      body(i * piece, std::min(count, (i + 1) * piece), context);
  };
  std::vector<std::thread> threads;
  for (int64_t i = 1; i < std::min<int64_t>(3, pieces); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

std::vector<std::string>& capabilities() {
  static std::vector<std::string> names = cpu::supported_names();
  return names;
}

void each_run(const std::function<std::vector<unsigned char>(const Run&)>& run, const char* kernel) {
  for (const std::string& name : capabilities()) {
    cpu::force(name);
    report().begin_run(name + ", one thread, guard after");
    const std::vector<unsigned char> bytes = run({Guard::kAfter, &one_thread});
    report().begin_run(name + ", three threads, guard before");
    if (run({Guard::kBefore, &three_threads}) != bytes) {
      report().fail("the bytes must not depend on threads or alignment, but do");
    }
    const std::string right = kernel == nullptr ? name : kernel;
    if (!right.empty() && cpu::last_run() != right)
      report().fail("the kernel of " + right + " must run, got " + cpu::last_run());
  }
  cpu::force("auto");
}

}  // namespace fastgan::test
