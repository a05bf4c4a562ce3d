// Small kernels that are right under every schedule: what one schedule finds wrong in these is wrong in the
// shim.
#include "cuda/device.cuh"

namespace {

using namespace fastgan::cuda;

constexpr int kThreads = 96;
constexpr uint32_t kAll = 0xffffffffu;

// Sums of each block's numbers by a tree in shared memory, then over the blocks by a counter: the last one
// adds up.
__global__ void __launch_bounds__(kThreads)
    sum_kernel(const float* x, int count, float* partial, int* counter, float* total) {
  FASTGAN_STATIC_SHARED(float[kThreads], sums);
  FASTGAN_STATIC_SHARED(bool, last);
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  sums[threadIdx.x] = i < count ? x[i] : 0.0f;
  __syncthreads();
  for (unsigned half = 64; half > 0; half /= 2) {
    if (threadIdx.x < half && threadIdx.x + half < kThreads) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sums[0];
    __threadfence();
    last = atomicAdd(counter, 1) == static_cast<int>(gridDim.x) - 1;
  }
  __syncthreads();
  if (!last || threadIdx.x != 0) return;
  float sum = 0;
  for (unsigned b = 0; b < gridDim.x; ++b) sum += partial[b];
  *total = sum;
}

// Every shuffle and vote of one warp: row k of `out` is for the k-th.
__global__ void shuffle_kernel(float* out) {
  const int lane = static_cast<int>(threadIdx.x);
  const float own = static_cast<float>(lane);
  out[lane] = __shfl_sync(kAll, own, 5);
  out[32 + lane] = __shfl_up_sync(kAll, own, 3);
  out[64 + lane] = __shfl_down_sync(kAll, own, 3);
  out[96 + lane] = __shfl_xor_sync(kAll, own, 9);
  out[128 + lane] = __shfl_xor_sync(kAll, own, 1, 8);
  out[160 + lane] = static_cast<float>(__shfl_down_sync(kAll, static_cast<double>(own), 16));
  out[192 + lane] = static_cast<float>(__ballot_sync(kAll, lane % 2 == 1) >> lane & 1u);
  if (lane < 16) out[224 + lane] = __shfl_xor_sync(0xffffu, own, 15);
}

// d = a b by tensor cores, a [16, 16] by rows and b [16, 8] by rows, both fetched by asynchronous copies.
template <class T>
__global__ void product_kernel(const T* a, const T* b, float* d) {
  FASTGAN_SHARED(bytes);
  T* const rows_a = reinterpret_cast<T*>(bytes);
  T* const rows_b = rows_a + 16 * 16;
  const int lane = static_cast<int>(threadIdx.x);
  copy_async_16(rows_a + lane * 8, a + lane * 8, true);
  commit_copies();
  copy_async_16(rows_b + lane * 8, b + lane % 16 * 8, lane < 16);  // below its 16 rows, zeros
  commit_copies();
  wait_copies<0>();
  __syncwarp();
  uint32_t left[4], right[4];
  load_matrices(left, rows_a + lane % 16 * 16 + lane / 16 * 8);
  load_matrices_transposed(right, rows_b + lane * 8);
  float sums[4] = {};
  const uint32_t columns[2] = {right[0], right[1]};
  multiply_16816<T>(sums, left, columns);
  for (int i = 0; i < 4; ++i) d[(lane / 4 + i / 2 * 8) * 8 + 2 * (lane % 4) + i % 2] = sums[i];
}

// The same in tf32 with a [16, 8] and b [8, 8].
__global__ void tf32_product_kernel(const float* a, const float* b, float* d) {
  const int lane = static_cast<int>(threadIdx.x), group = lane / 4, member = lane % 4;
  uint32_t left[4], right[2];
  for (int i = 0; i < 4; ++i) left[i] = round_to_tf32(a[(group + i % 2 * 8) * 8 + member + i / 2 * 4]);
  for (int i = 0; i < 2; ++i) right[i] = round_to_tf32(b[(member + i * 4) * 8 + group]);
  float sums[4] = {};
  multiply_1688_tf32(sums, left, right);
  for (int i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + 2 * member + i % 2] = sums[i];
}

}  // namespace

#define FASTGAN_TEST extern "C" __attribute__((visibility("default"))) const char*

FASTGAN_TEST fastgan_test_sum(const float* x, int count, int blocks, float* partial, int* counter,
                              float* total) {
  FASTGAN_LAUNCH(sum_kernel, blocks, kThreads, 0, nullptr, x, count, partial, counter, total);
  return launch_error();
}

FASTGAN_TEST fastgan_test_shuffles(float* out) {
  FASTGAN_LAUNCH(shuffle_kernel, 1, 32, 0, nullptr, out);
  return launch_error();
}

FASTGAN_TEST fastgan_test_product_half(const void* a, const void* b, float* d) {
  const auto *left = static_cast<const Half*>(a), *right = static_cast<const Half*>(b);
  FASTGAN_LAUNCH(product_kernel<Half>, 1, 32, 1024, nullptr, left, right, d);
  return launch_error();
}

FASTGAN_TEST fastgan_test_product_bfloat16(const void* a, const void* b, float* d) {
  const auto *left = static_cast<const BFloat16*>(a), *right = static_cast<const BFloat16*>(b);
  FASTGAN_LAUNCH(product_kernel<BFloat16>, 1, 32, 1024, nullptr, left, right, d);
  return launch_error();
}

FASTGAN_TEST fastgan_test_product_tf32(const float* a, const float* b, float* d) {
  FASTGAN_LAUNCH(tf32_product_kernel, 1, 32, 0, nullptr, a, b, d);
  return launch_error();
}
