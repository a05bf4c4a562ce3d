// A pool's threads kept awake through several parallel steps: where threads sleep between two of them, waking
// one takes longer than a step of a single image.
#pragma once

#include <atomic>
#include <cstdint>

#include "cpu/parallel.h"

namespace fastgan::cpu {

// Calls work(pool) once, on one of the `threads` threads of `pool`; the others take parts of what it runs on
// the pool that it is given, and meanwhile do not sleep. Whoever arrives first does the calling and nobody is
// waited for, so that it also holds for a pool that runs its bodies one after the other. `work` must use its
// pool from its own thread only.
class Team {
 public:
  template <class F>
  static void run(ParallelFor pool, int threads, const F& work) {
    if (threads < 2) return work(pool);
    Team team(threads);
    parallel_for(pool, threads, /*grain=*/1, [&](int64_t, int64_t) {
      if (team.led_.exchange(true)) return team.follow();
      const Leader leader(team);
      work(&Team::share);
    });
  }

 private:
  explicit Team(int threads) : threads_(threads) {}

  // Says who leads on this thread, and tells the others when that is over, come what may.
  class Leader {
   public:
    explicit Leader(Team& team);
    ~Leader();
  };

  // Ends a job, also by an exception: no part is taken after it, and those that were are waited for.
  class Job {
   public:
    explicit Job(Team& team) : team_(team) {}
    ~Job();

   private:
    Team& team_;
  };

  // Claims of parts in one number, so that nobody can take a part of a job that is over.
  struct Claims {
    uint64_t job, parts, next;
    static Claims from(uint64_t bits) { return {bits >> 32, bits >> 16 & 0xffff, bits & 0xffff}; }
    uint64_t bits() const { return job << 32 | parts << 16 | next; }
  };

  static void share(int64_t count, int64_t grain, RangeBody body, void* context);
  void lead(int64_t count, int64_t grain, RangeBody body, void* context);
  void follow();
  bool take_part();

  const int threads_;
  std::atomic<bool> led_{false}, over_{false};
  std::atomic<uint64_t> claims_{0};
  std::atomic<int64_t> done_{0};
  // The job at hand: written before its claims are published, and left alone until all its parts are done.
  int64_t count_ = 0;
  RangeBody body_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace fastgan::cpu
