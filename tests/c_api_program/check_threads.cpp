// Calls at the same time: each gets the bytes that it gets alone.
#include <atomic>
#include <thread>

#include "checks.h"

namespace fastgan::test {

void check_threads(const PlanFile& file) {
  constexpr int64_t kCounts[] = {3, 40, 70};
  const Loaded shared(file.bytes);
  std::vector<Bytes> alone;
  for (const int64_t count : kCounts) alone.push_back(shared.images(count, count, nullptr));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < alone.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 4; ++k)
        wrong += shared.images(kCounts[i], kCounts[i], k % 2 == 0 ? three_threads() : nullptr) != alone[i];
    });
  }
  threads.emplace_back([&] {
    for (int k = 0; k < 4; ++k) {
      const Loaded own(file.bytes, k % 2 == 0 ? "default" : "auto");
      wrong += own.status() != FASTGAN_OK;
      if (k % 2 == 1) wrong += own.images(kCounts[0], kCounts[0], backwards()) != alone[0];
    }
  });
  for (std::thread& thread : threads) thread.join();
  if (wrong > 0) fail(std::to_string(wrong) + " calls at once gave other bytes than alone, of " + file.name);
  passed();
}

}  // namespace fastgan::test
