// csrc/cuda/device.cuh for a host compiler: the names that it promises, run on the CPU one thread of a block
// at a time.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "block.h"
#include "common/half.h"
#include "intrinsics.h"
#include "launch.h"
#include "matrix.h"
#include "shared_memory.h"

#define FASTGAN_SHARED(name) unsigned char* const name = ::fastgan::cuda_host::shared_memory().dynamic()
#define FASTGAN_STATIC_SHARED(type, name) \
  ::fastgan::cuda::Same<type>& name = ::fastgan::cuda::static_shared<::fastgan::cuda::Same<type>>([] {})
#define FASTGAN_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
  ::fastgan::cuda_host::launch(kernel, grid, block, shared_bytes, stream, __VA_ARGS__)

namespace fastgan::cuda {

using cuda_host::launch_error;
using cuda_host::round_to_tf32;
using fastgan::BFloat16;
using fastgan::Half;
using fastgan::to_compute;

template <class T>
using Same = T;

// Declaration: the type of a lambda, which each place in the sources has of its own.
template <class T, class Declaration>
T& static_shared(Declaration, FASTGAN_PLACE) {
  static const int declaration = cuda_host::new_declaration();
  void* const object = cuda_host::shared_memory().object(declaration, sizeof(T));
  if (object == nullptr) {
    cuda_host::fail(text(cuda_host::Place{"invalid argument: shared memory declared", file, line}) +
                    " does not fit into the block's " + std::to_string(cuda_host::kSharedLimit) + " bytes");
  }
  return *static_cast<T*>(object);
}

template <class To, class T>
To rounded(T x) {
  return Rounded<To>::from(x);
}

template <class To>
uint32_t pack_pair(float low, float high) {
  return rounded<To>(low).bits | static_cast<uint32_t>(rounded<To>(high).bits) << 16;
}

inline void check_aligned(const void* memory, size_t bytes, const cuda_host::Place& place) {
  if (reinterpret_cast<uintptr_t>(memory) % bytes == 0) return;
  cuda_host::fail(text(place) + ": memory is not aligned to " + std::to_string(bytes) + " bytes");
}

template <class T, int count = 16 / sizeof(T)>
struct Pack {
  static constexpr int kCount = count;
  T values[count];
};

template <int count, class T>
Pack<T, count> load_pack(const T* memory, FASTGAN_PLACE) {
  Pack<T, count> pack;
  check_aligned(memory, sizeof pack, {"load_pack", file, line});
  std::memcpy(&pack, memory, sizeof pack);
  return pack;
}

template <int count, class T>
void store_pack(T* memory, const Pack<T, count>& pack, FASTGAN_PLACE) {
  check_aligned(memory, sizeof pack, {"store_pack", file, line});
  std::memcpy(memory, &pack, sizeof pack);
}

template <class T>
Pack<T> load_16(const T* memory, FASTGAN_PLACE) {
  check_aligned(memory, 16, {"load_16", file, line});
  return load_pack<16 / sizeof(T)>(memory);
}

template <class T>
void store_16(T* memory, const Pack<T>& pack, FASTGAN_PLACE) {
  check_aligned(memory, 16, {"store_16", file, line});
  store_pack(memory, pack);
}

inline void copy_async_16(void* shared, const void* global, bool valid, FASTGAN_PLACE) {
  const cuda_host::Place place{"copy_async_16", file, line};
  check_aligned(shared, 16, place);
  check_aligned(global, 16, place);
  if (!cuda_host::shared_memory().holds(shared, 16))
    cuda_host::fail(text(place) + ": it writes past shared memory");
  cuda_host::block().current().copies.start(shared, global, valid);
}

inline void commit_copies() { cuda_host::block().current().copies.commit(); }

template <int pending>
void wait_copies() {
  cuda_host::block().current().copies.wait(pending);
}

inline void load_matrices(uint32_t (&r)[4], const void* row, FASTGAN_PLACE) {
  cuda_host::load_matrices(r, row, false, {"load_matrices", file, line});
}

inline void load_matrices_transposed(uint32_t (&r)[4], const void* row, FASTGAN_PLACE) {
  cuda_host::load_matrices(r, row, true, {"load_matrices_transposed", file, line});
}

template <class T>
void multiply_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], FASTGAN_PLACE) {
  cuda_host::multiply(d, a, b, T{}, {"multiply_16816", file, line});
}

inline void multiply_1688_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], FASTGAN_PLACE) {
  cuda_host::multiply_tf32(d, a, b, {"multiply_1688_tf32", file, line});
}

}  // namespace fastgan::cuda
