// Barriers, shuffles and votes.
#include "intrinsics.h"

#include <string>

#include "block.h"

void __syncthreads(const char* file, int line) {
  fastgan::cuda_host::block().barrier({"__syncthreads", file, line});
}

void __syncwarp(uint32_t mask, const char* file, int line) {
  fastgan::cuda_host::block().current_warp().meet(mask, {}, nullptr, {"__syncwarp", file, line});
}

namespace fastgan::cuda_host {
namespace {

// The lane that `lane` reads; itself where that would be in another part of `width` lanes.
int source_lane(Shuffle kind, int lane, int argument, int width) {
  const int first = lane / width * width, own = lane % width;
  switch (kind) {
    case Shuffle::kFrom:
      return first + (argument & (width - 1));
    case Shuffle::kUp:
      return own - argument < 0 ? lane : lane - argument;
    case Shuffle::kDown:
      return own + argument >= width ? lane : lane + argument;
    case Shuffle::kXor:
      return (own ^ argument) >= width ? lane : first + (own ^ argument);
  }
  return lane;
}

}  // namespace

uint64_t shuffle(Shuffle kind, uint32_t mask, uint64_t bits, int argument, int width, const Place& place) {
  Gift gift;
  gift.value = bits;
  const int lane = static_cast<int>(block().current().lane);
  const Meeting& meeting = block().current_warp().meet(mask, gift, nullptr, place);
  const int source = source_lane(kind, lane, argument, width);
  if ((meeting.took_part >> source & 1) == 0) {
    fail(text(place) + ": it reads lane " + std::to_string(source) + ", which does not take part");
  }
  return meeting.results[source].value;
}

uint32_t ballot(uint32_t mask, bool predicate, const Place& place) {
  Gift gift;
  gift.value = predicate;
  const Meeting& meeting = block().current_warp().meet(mask, gift, nullptr, place);
  uint32_t votes = 0;
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    if ((meeting.took_part >> lane & 1) != 0 && meeting.results[lane].value != 0) votes |= 1u << lane;
  }
  return votes;
}

}  // namespace fastgan::cuda_host
