// Small kernels, each with one mistake that CUDA leaves undefined and the shim has to name, or to make
// visible.
#include <cstring>

#include "cuda/device.cuh"

namespace {

using namespace fastgan::cuda;

constexpr uint32_t kAll = 0xffffffffu;
constexpr int kThreads = 64;

// Each thread reads what one of the other warp wrote; nobody waits.
__global__ void missing_barrier(float* out) {
  FASTGAN_STATIC_SHARED(float[kThreads], values);
  values[threadIdx.x] = 1.0f;
  out[threadIdx.x] = values[kThreads - 1 - threadIdx.x];
}

// The second round overwrites what the first round's readers may not have read yet.
__global__ void missing_second_barrier(float* out) {
  FASTGAN_STATIC_SHARED(float[kThreads], values);
  float sum = 0;
  for (int round = 1; round <= 2; ++round) {
    values[threadIdx.x] = static_cast<float>(round);
    __syncthreads();
    sum += values[kThreads - 1 - threadIdx.x];
  }
  out[threadIdx.x] = sum - 2.0f;
}

// Whoever adds first may come before the zero.
__global__ void missing_barrier_after_zero(float* out) {
  FASTGAN_STATIC_SHARED(float, total);
  if (threadIdx.x == 0) total = 0.0f;
  const float sum = __shfl_xor_sync(kAll, 0.25f, 1) + __shfl_xor_sync(kAll, 0.25f, 2);
  if (threadIdx.x % 32 == 0) atomicAdd(&total, sum);
  __syncthreads();
  out[threadIdx.x] = total;
}

__global__ void never_written(float* out) {
  FASTGAN_SHARED(bytes);
  FASTGAN_STATIC_SHARED(float[kThreads], values);
  if (blockIdx.x == 0) values[threadIdx.x] = reinterpret_cast<float*>(bytes)[threadIdx.x] = 0.5f;
  __syncthreads();
  if (blockIdx.x == 1) out[threadIdx.x] = values[threadIdx.x] + reinterpret_cast<float*>(bytes)[threadIdx.x];
}

__global__ void copy_without_wait(float* out) {
  FASTGAN_SHARED(bytes);
  float* const values = reinterpret_cast<float*>(bytes);
  copy_async_16(values + threadIdx.x * 4, out + threadIdx.x * 4, true);
  commit_copies();
  wait_copies<1>();
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x];
}

__global__ void copy_over_what_is_read(float* out) {
  FASTGAN_SHARED(bytes);
  float* const values = reinterpret_cast<float*>(bytes);
  values[threadIdx.x] = 1.0f;
  __syncthreads();
  if (threadIdx.x < kThreads / 4) copy_async_16(values + threadIdx.x * 4, out + threadIdx.x * 4, true);
  out[threadIdx.x] = values[kThreads - 1 - threadIdx.x];
}

__global__ void divergent_barrier(float*) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void divergent_shuffle(float* out) {
  if (threadIdx.x % 2 == 0) {
    out[threadIdx.x] = __shfl_xor_sync(kAll, 1.0f, 2);
  } else {
    out[threadIdx.x] = __shfl_down_sync(kAll, 1.0f, 2);
  }
}

__device__ void everybody() { __syncthreads(); }

__global__ void barrier_of_one_lane(float* out) {
  if (threadIdx.x == 37) everybody();
  out[threadIdx.x] = __shfl_xor_sync(kAll, 1.0f, 1);
  everybody();
}

__global__ void shuffle_outside_its_mask(float* out) {
  if (threadIdx.x == 50) out[0] = __shfl_sync(0xffffu, 1.0f, 0);
}

__global__ void shuffle_from_nobody(float* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xffffu, 1.0f, 20);
}

__global__ void misaligned_copy(float* out) {
  FASTGAN_SHARED(bytes);
  copy_async_16(bytes + threadIdx.x * 16 + (threadIdx.x == 35 ? 8 : 0), out, true);
}

__global__ void copy_past_the_end(float* out) {
  FASTGAN_SHARED(bytes);
  copy_async_16(bytes + threadIdx.x * 16 + (threadIdx.x == 63 ? 16 : 0), out, true);
}

__global__ void misaligned_pack(float* out) { load_16(out + (threadIdx.x == 3 ? 1 : 0)); }

__global__ void misaligned_rows(float*) {
  FASTGAN_SHARED(bytes);
  uint32_t r[4];
  load_matrices(r, bytes + threadIdx.x % 32 * 16 + (threadIdx.x == 40 ? 2 : 0));
}

__global__ void product_of_half_a_warp(float*) {
  if (threadIdx.x % 32 >= 16) return;
  const uint32_t a[4] = {}, b[2] = {};
  float d[4] = {};
  multiply_16816<Half>(d, a, b);
}

__global__ void operand_not_rounded(float*) {
  const uint32_t a[4] = {0x3f800001u, 0, 0, 0}, b[2] = {};
  float d[4] = {};
  multiply_1688_tf32(d, a, b);
}

__global__ void too_many_static_bytes(float* out) {
  FASTGAN_STATIC_SHARED(float[12 * 1024], values);
  values[threadIdx.x] = 0.0f;
  out[threadIdx.x] = values[threadIdx.x];
}

__global__ void nothing(float*) {}

__global__ void write_past_dynamic(float*) {
  FASTGAN_SHARED(bytes);
  bytes[threadIdx.x + (threadIdx.x == 63 ? 961 : 0)] = 1;
}

__global__ void write_past_static(float*) {
  FASTGAN_STATIC_SHARED(float[kThreads], values);
  values[threadIdx.x + (threadIdx.x == 63 ? 1 : 0)] = 1.0f;
}

__global__ void write_past_global(float* out) { out[4 * blockDim.x + threadIdx.x] = 1.0f; }

struct Wrong {
  const char* name;
  void (*kernel)(float*);
  dim3 grid = 1, block = kThreads;
  size_t shared_bytes = 1024;
};

const Wrong kWrong[] = {
    {"missing_barrier", missing_barrier},
    {"missing_second_barrier", missing_second_barrier},
    {"missing_barrier_after_zero", missing_barrier_after_zero},
    {"never_written", never_written, 2},
    {"copy_without_wait", copy_without_wait},
    {"copy_over_what_is_read", copy_over_what_is_read},
    {"divergent_barrier", divergent_barrier},
    {"divergent_shuffle", divergent_shuffle},
    {"barrier_of_one_lane", barrier_of_one_lane},
    {"shuffle_outside_its_mask", shuffle_outside_its_mask},
    {"shuffle_from_nobody", shuffle_from_nobody},
    {"misaligned_copy", misaligned_copy},
    {"copy_past_the_end", copy_past_the_end},
    {"misaligned_pack", misaligned_pack},
    {"misaligned_rows", misaligned_rows},
    {"product_of_half_a_warp", product_of_half_a_warp},
    {"operand_not_rounded", operand_not_rounded},
    {"too_many_static_bytes", too_many_static_bytes, 1, kThreads, 60 * 1024},
    {"too_much_dynamic_memory", nothing, 1, kThreads, 99 * 1024 + 1},
    {"too_many_threads", nothing, 1, 1025},
    {"too_deep_a_block", nothing, 1, {1, 1, 65}},
    {"no_blocks", nothing, 0},
    {"too_many_blocks", nothing, {1, 65536}},
    {"write_past_dynamic", write_past_dynamic},
    {"write_past_static", write_past_static},
    {"write_past_global", write_past_global},
};

}  // namespace

// `out` holds 4 * 64 numbers. Returns the launch's error, nullptr if there is none.
extern "C" __attribute__((visibility("default"))) const char* fastgan_test_wrong(const char* name,
                                                                                 float* out) {
  for (const Wrong& wrong : kWrong) {
    if (std::strcmp(name, wrong.name) != 0) continue;
    FASTGAN_LAUNCH(wrong.kernel, wrong.grid, wrong.block, wrong.shared_bytes, nullptr, out);
    return launch_error();
  }
  return "no such kernel";
}
