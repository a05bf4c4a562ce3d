// CUDA's keywords and the functions that kernels call without a namespace, as far as ours do.
//
// Kernels that have to wait, or that use something undefined, are told by file and line.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "place.h"
#include "vector_types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

namespace fastgan::cuda_host {

// Bits of a lane's value from the lane `source(lane)` says, of those in `mask`.
enum class Shuffle { kFrom, kUp, kDown, kXor };
uint64_t shuffle(Shuffle kind, uint32_t mask, uint64_t bits, int argument, int width, const Place& place);

uint32_t ballot(uint32_t mask, bool predicate, const Place& place);

template <class T>
T shuffled(Shuffle kind, uint32_t mask, T value, int argument, int width, const Place& place) {
  static_assert(sizeof(T) <= sizeof(uint64_t) && std::is_trivially_copyable_v<T>,
                "shuffles take up to 8 bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = shuffle(kind, mask, bits, argument, width, place);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace fastgan::cuda_host

void __syncthreads(FASTGAN_PLACE);
void __syncwarp(uint32_t mask = 0xffffffffu, FASTGAN_PLACE);

template <class T>
T __shfl_sync(uint32_t mask, T value, int lane, int width = 32, FASTGAN_PLACE) {
  using namespace fastgan::cuda_host;
  return shuffled(Shuffle::kFrom, mask, value, lane, width, {"__shfl_sync", file, line});
}

template <class T>
T __shfl_up_sync(uint32_t mask, T value, int delta, int width = 32, FASTGAN_PLACE) {
  using namespace fastgan::cuda_host;
  return shuffled(Shuffle::kUp, mask, value, delta, width, {"__shfl_up_sync", file, line});
}

template <class T>
T __shfl_down_sync(uint32_t mask, T value, int delta, int width = 32, FASTGAN_PLACE) {
  using namespace fastgan::cuda_host;
  return shuffled(Shuffle::kDown, mask, value, delta, width, {"__shfl_down_sync", file, line});
}

template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int bits, int width = 32, FASTGAN_PLACE) {
  using namespace fastgan::cuda_host;
  return shuffled(Shuffle::kXor, mask, value, bits, width, {"__shfl_xor_sync", file, line});
}

inline uint32_t __ballot_sync(uint32_t mask, bool predicate, FASTGAN_PLACE) {
  return fastgan::cuda_host::ballot(mask, predicate, {"__ballot_sync", file, line});
}

inline bool __any_sync(uint32_t mask, bool predicate, FASTGAN_PLACE) {
  return fastgan::cuda_host::ballot(mask, predicate, {"__any_sync", file, line}) != 0;
}

// Threads run one at a time, and blocks one after the other: these have nothing to do.
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T, class U>
T atomicAdd(T* memory, U value) {
  const T before = *memory;
  *memory = static_cast<T>(before + value);
  return before;
}

template <class T>
T __ldg(const T* memory) {
  return *memory;
}

template <class T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}

template <class T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}
