// What the lanes of a warp do together: each gives something, the last to arrive makes the results of all.
#pragma once

#include <cstdint>
#include <list>

#include "place.h"

namespace fastgan::cuda_host {

constexpr unsigned kLanes = 32;
constexpr uint32_t kAllLanes = 0xffffffffu;

// What a lane brings, or takes away; which members, the operation knows.
struct Gift {
  const void* pointer = nullptr;
  uint64_t value = 0;
  uint32_t a[4] = {}, b[2] = {};
  float d[4] = {};
};

// One meeting place of a warp. Results stay until all lanes have come again, so that each can fetch its own.
struct Meeting {
  uint32_t mask = 0;     // lanes that meet
  uint32_t arrived = 0;  // for the operation under way
  uint32_t took_part = 0;
  uint64_t turn = 0;
  Place place;
  void (*finish)(Meeting&) = nullptr;
  Gift given[kLanes], results[kLanes];
};

class Warp {
 public:
  void begin(uint32_t lanes);

  // The running thread's lane meets the others of `mask`; returns when all that still live have come.
  // finish makes `results` of `given`; nullptr: they are what was given.
  Meeting& meet(uint32_t mask, const Gift& gift, void (*finish)(Meeting&), const Place& place);

  // A lane is at its end: others do not wait for it.
  void exit(unsigned lane);

 private:
  void try_finish(Meeting& meeting);

  uint32_t live_ = 0;
  std::list<Meeting> meetings_;  // one for each mask that came up
};

}  // namespace fastgan::cuda_host
