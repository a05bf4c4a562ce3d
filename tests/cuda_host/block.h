// The block that runs: its threads, each a fiber, the barrier, and what is wrong with it.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "copies.h"
#include "fiber.h"
#include "schedule.h"
#include "vector_types.h"
#include "warp.h"

namespace fastgan::cuda_host {

struct Thread {
  Fiber fiber;
  uint3 index{};
  unsigned lane = 0, warp = 0;
  bool exited = false;
  const uint64_t* turn = nullptr;  // waits until this number changes, nullptr: for nothing
  uint64_t seen = 0;
  Place place;  // where it waits
  Copies copies;

  bool can_run() const { return !exited && (turn == nullptr || *turn != seen); }
};

class Block {
 public:
  // Runs body() in every thread of block `index`. Returns what went wrong, "" if nothing did.
  std::string run(const uint3& index, const dim3& extents, Schedule& schedule,
                  const std::function<void()>& body);

  // Of and for the thread that runs:
  Thread& current() { return *current_; }
  Warp& current_warp() { return warps_[current_->warp]; }
  void wait(const uint64_t& turn, const Place& place);
  void barrier(const Place& place);
  [[noreturn]] void stop(const std::string& what);

 private:
  static void thread_main();
  void begin(const dim3& extents);
  bool resume(unsigned number);
  void try_release();
  std::string who_waits() const;

  std::deque<Thread> threads_;  // which do not move; more than this block's if an earlier one was larger
  std::vector<Warp> warps_;
  unsigned count_ = 0, live_ = 0, arrived_ = 0;
  uint64_t turn_ = 0;
  Place place_;  // of the barrier that threads wait at
  Thread* current_ = nullptr;
  const std::function<void()>* body_ = nullptr;
  std::string wrong_;
};

Block& block();

// The running thread did `what`, which is undefined: the launch ends here, and says where.
[[noreturn]] void fail(const std::string& what);

}  // namespace fastgan::cuda_host
