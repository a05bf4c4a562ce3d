// All in which nvcc and a host compiler differ: launches, shared memory, copies, tensor cores, half types.
//
// Kernels include this and nothing of CUDA's own, so that each compiles twice: by nvcc, with the instructions
// below, and, where FASTGAN_CUDA_ON_HOST is defined, by the C++ compiler, with the same names from
// tests/cuda_host/cuda_on_host.h, which runs them on the CPU. Nothing else may ask which compiler it is.
//
// In a kernel, static shared memory is FASTGAN_STATIC_SHARED(float[2][64], sums), dynamic shared memory
// FASTGAN_SHARED(bytes), and stored numbers are float, double, Half or BFloat16, computed with after
// to_compute() and stored after rounded<>(). Instructions for a warp need all 32 lanes.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace fastgan::cuda {

// Bytes of shared memory that a block may have on every device from sm_80 on, static and dynamic.
constexpr int kMostShared = 99 * 1024;

// Whether this pass compiles for Blackwell, where nvcc 13.0 takes more registers than elsewhere.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
constexpr bool kForBlackwell = true;
#else
constexpr bool kForBlackwell = false;
#endif

}  // namespace fastgan::cuda

#ifdef FASTGAN_CUDA_ON_HOST
#include "cuda_on_host.h"
#else

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

// Aligned to 128 bytes; its size is the launch's shared_bytes.
#define FASTGAN_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#define FASTGAN_STATIC_SHARED(type, name) __shared__ __align__(16)::fastgan::cuda::Same<type> name

// Queues kernel(arguments...) on `stream`, a void*. A kernel with commas in its name goes in parentheses.
#define FASTGAN_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
  ::fastgan::cuda::launch(kernel, grid, block, shared_bytes, stream, __VA_ARGS__)

namespace fastgan::cuda {

using Half = __half;
using BFloat16 = __nv_bfloat16;

template <class T>
using Same = T;

// What a block may have of shared memory without the kernel having asked for more.
constexpr size_t kSharedWithoutAsking = 48 * 1024;

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, void* stream,
            const Arguments&... arguments) {
  if (shared_bytes > kSharedWithoutAsking) {
    // Always the same: another thread may launch the kernel with more between this call and the launch. Such
    // kernels have no static shared memory, which would have to come out of it.
    const cudaError_t refused =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kMostShared);
    if (refused != cudaSuccess) return;  // launch_error() tells
  }
  const auto queue = static_cast<cudaStream_t>(stream);
  kernel<<<grid, block, shared_bytes, queue>>>(arguments...);
}

// CUDA's words for what went wrong since the last call, nullptr if nothing did.
inline const char* launch_error() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

__device__ inline float to_compute(float x) { return x; }
__device__ inline double to_compute(double x) { return x; }
__device__ inline float to_compute(Half x) { return __half2float(x); }
__device__ inline float to_compute(BFloat16 x) { return __bfloat162float(x); }

// To the stored type, nearest even.
template <class To, class T>
__device__ inline To rounded(T x) {
  return x;
}
template <>
__device__ inline Half rounded<Half, float>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline BFloat16 rounded<BFloat16, float>(float x) {
  return __float2bfloat16_rn(x);
}

// Two rounded numbers as they lie in memory, `low` first.
template <class To>
__device__ inline uint32_t pack_pair(float low, float high);
template <>
__device__ inline uint32_t pack_pair<Half>(float low, float high) {
  uint32_t bits;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}
template <>
__device__ inline uint32_t pack_pair<BFloat16>(float low, float high) {
  uint32_t bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}

// Numbers that lie side by side and go through one instruction: together 1, 2, 4, 8 or 16 bytes, aligned to
// that.
template <class T, int count = 16 / sizeof(T)>
struct Pack {
  static constexpr int kCount = count;
  T values[count];
};

template <size_t bytes>
struct Word;
template <>
struct Word<1> {
  using Type = uint8_t;
};
template <>
struct Word<2> {
  using Type = uint16_t;
};
template <>
struct Word<4> {
  using Type = uint32_t;
};
template <>
struct Word<8> {
  using Type = uint2;
};
template <>
struct Word<16> {
  using Type = uint4;
};

template <int count, class T>
__device__ inline Pack<T, count> load_pack(const T* memory) {
  Pack<T, count> pack;
  const auto word = *reinterpret_cast<const typename Word<sizeof pack>::Type*>(memory);
  memcpy(&pack, &word, sizeof pack);
  return pack;
}

template <int count, class T>
__device__ inline void store_pack(T* memory, const Pack<T, count>& pack) {
  typename Word<sizeof pack>::Type word;
  memcpy(&word, &pack, sizeof pack);
  *reinterpret_cast<typename Word<sizeof pack>::Type*>(memory) = word;
}

template <class T>
__device__ inline Pack<T> load_16(const T* memory) {
  return load_pack<16 / sizeof(T)>(memory);
}

template <class T>
__device__ inline void store_16(T* memory, const Pack<T>& pack) {
  store_pack(memory, pack);
}

__device__ inline uint32_t shared_address(const void* shared) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

// Starts a copy of 16 bytes, both sides aligned to 16; where not valid, of zeros, and `global` is not read.
__device__ inline void copy_async_16(void* shared, const void* global, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 16 : 0)
               : "memory");
}

// The copies that this thread started since the last call become a group.
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until no more than the last `pending` groups of this thread are under way.
template <int pending>
__device__ inline void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// Four 8 x 8 matrices of 16-bit numbers in shared memory: lanes 8 i .. 8 i + 7 point to the rows of matrix i,
// aligned to 16. r[i] holds elements 2 (lane % 4) and the next of its row lane / 4.
__device__ inline void load_matrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// The same of the transposed matrices.
__device__ inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// d += a b with a 16 x 16 by rows, b 16 x 8 by columns, spread over the warp as mma.sync has it.
template <class T>
__device__ inline void multiply_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
template <>
__device__ inline void multiply_16816<Half>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
template <>
__device__ inline void multiply_16816<BFloat16>(float (&d)[4], const uint32_t (&a)[4],
                                                const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The same with a 16 x 8 and b 8 x 8 of tf32, each the result of round_to_tf32.
__device__ inline void multiply_1688_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// To 10 bits of mantissa, nearest, ties away from zero. Operands that are cut instead bias every sum.
__device__ inline uint32_t round_to_tf32(float x) {
  uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

}  // namespace fastgan::cuda

#endif

namespace fastgan::cuda {

// What a launcher returns behind its launches: nullptr, or what CUDA made of them, in a sentence that is good
// until this thread's next one.
inline const char* launch_failure(const char* op) {
  const char* const error = launch_error();
  if (error == nullptr) return nullptr;
  thread_local std::string sentence;
  sentence = std::string(op) + ": CUDA launch failed: " + error;
  return sentence.c_str();
}

}  // namespace fastgan::cuda
