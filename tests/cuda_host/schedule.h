// Who runs next where that is open: a number stands for a schedule, the same one every time.
//
// 0: threads in turn, up to where each has to wait. Odd: the same in a new order in every pass. Even: the
// threads of one warp as long as one of them can run, then another warp; 2 has the last warp first. Blocks:
// ascending, shuffled, descending.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace fastgan::cuda_host {

class Schedule {
 public:
  explicit Schedule(unsigned number) : number_(number), random_(number) {}

  // The blocks of a grid, in the order in which they run.
  std::vector<uint64_t> blocks(uint64_t count);

  // offer(thread) runs a thread if it can, and says whether it did. Returns whether any of `count` threads
  // ran.
  template <class Offer>
  bool pass(unsigned count, const Offer& offer) {
    bool any = false;
    for (const std::vector<unsigned>& group : groups(count)) {
      bool again = true;
      while (again) {
        again = false;
        for (const unsigned thread : group) again |= offer(thread);
        any |= again;
        if (!runs_ahead()) again = false;
      }
    }
    return any;
  }

 private:
  bool runs_ahead() const { return number_ != 0 && number_ % 2 == 0; }
  const std::vector<std::vector<unsigned>>& groups(unsigned count);

  unsigned number_;
  std::mt19937 random_;
  std::vector<std::vector<unsigned>> groups_;
  unsigned count_ = 0;
};

// That of FASTGAN_CUDA_HOST_SCHEDULE, 0 if it is not set. Throws std::invalid_argument where it is no number.
unsigned schedule_number();

}  // namespace fastgan::cuda_host
