// gan_loss on CUDA: one kernel for terms, gradients and sums per tile, one block that merges the tiles.
//
// Two launches and no atomics: sums are taken in a fixed order, so equal inputs give equal bits.
#pragma once

#include "common/gan_loss.h"
#include "cuda/device.cuh"

namespace fastgan::cuda {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kElementsPerThread = kGanLossTile / kThreads;

// Sum over the block in a fixed tree; the result is valid in thread 0. `shared` holds kWarps doubles.
__device__ inline double block_sum(double value, double* shared) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_down_sync(0xffffffffu, value, offset);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  __syncthreads();  // the previous sum may still be read
  if (lane == 0) shared[warp] = value;
  __syncthreads();
  double total = 0;
  if (threadIdx.x == 0) {
    for (int w = 0; w < kWarps; ++w) total += shared[w];
  }
  return total;
}

__device__ inline GanLossSums block_sum(const GanLossSums& sums, double* shared) {
  GanLossSums total;
  total.real_loss = block_sum(sums.real_loss, shared);
  total.fake_loss = block_sum(sums.fake_loss, shared);
  total.g_loss = block_sum(sums.g_loss, shared);
  total.real = block_sum(sums.real, shared);
  total.fake = block_sum(sums.fake, shared);
  total.real_positive = block_sum(sums.real_positive, shared);
  total.fake_positive = block_sum(sums.fake_positive, shared);
  return total;
}

template <class In, class T>
__device__ inline void one_pair(const GanLossArguments& a, int64_t i, GanLossSums& sums) {
  const T real = to_compute(static_cast<const In*>(a.real)[i]);
  const T fake = to_compute(static_cast<const In*>(a.fake)[i]);
  const PairTerm<T> term = GanLossTerms<GanLossFamily::kRpgan>::pair(real, fake);
  const T per_pair = T(1) / static_cast<T>(a.fake_count);
  const T d_slope = term.d_slope_real * per_pair, g_slope = term.g_slope_real * per_pair;
  static_cast<T*>(a.d_grad_real)[i] = d_slope;
  static_cast<T*>(a.d_grad_fake)[i] = -d_slope;
  static_cast<T*>(a.g_grad_real)[i] = g_slope;
  static_cast<T*>(a.g_grad_fake)[i] = -g_slope;
  sums.fake_loss += term.d_loss;
  sums.g_loss += term.g_loss;
}

template <GanLossFamily family, class In, class T>
__device__ inline void one_real(const GanLossArguments& a, int64_t i, GanLossSums& sums) {
  const RealTerm<T> term =
      GanLossTerms<family>::real(static_cast<T>(to_compute(static_cast<const In*>(a.real)[i])));
  static_cast<T*>(a.d_grad_real)[i] = term.slope * (T(1) / static_cast<T>(a.real_count));
  sums.real_loss += term.loss;
}

template <GanLossFamily family, class In, class T>
__device__ inline void one_fake(const GanLossArguments& a, int64_t i, GanLossSums& sums) {
  const FakeTerm<T> term =
      GanLossTerms<family>::fake(static_cast<T>(to_compute(static_cast<const In*>(a.fake)[i])));
  const T per_fake = T(1) / static_cast<T>(a.fake_count);
  static_cast<T*>(a.d_grad_fake)[i] = term.d_slope * per_fake;
  static_cast<T*>(a.g_grad_fake)[i] = term.g_slope * per_fake;
  sums.fake_loss += term.d_loss;
  sums.g_loss += term.g_loss;
}

// Terms and gradients at index i of both sides, where they exist.
template <GanLossFamily family, class In, class T>
__device__ inline void one_index(const GanLossArguments& a, int64_t i, GanLossSums& sums) {
  if constexpr (family == GanLossFamily::kRpgan) {
    if (i < a.fake_count) one_pair<In, T>(a, i, sums);
  } else {
    if (i < a.real_count) one_real<family, In, T>(a, i, sums);
    if (i < a.fake_count) one_fake<family, In, T>(a, i, sums);
  }
  if (i < a.real_count) {
    const double x = to_compute(static_cast<const In*>(a.real)[i]);
    sums.real += x;
    sums.real_positive += x > 0 ? 1 : 0;
  }
  if (i < a.fake_count) {
    const double x = to_compute(static_cast<const In*>(a.fake)[i]);
    sums.fake += x;
    sums.fake_positive += x > 0 ? 1 : 0;
  }
}

template <GanLossFamily family, class In, class T>
__device__ inline GanLossSums thread_sums(const GanLossArguments& a) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kGanLossTile + threadIdx.x;
  GanLossSums sums;
  for (int k = 0; k < kElementsPerThread; ++k) one_index<family, In, T>(a, first + k * kThreads, sums);
  return sums;
}

// One block per tile. The family is the same for the whole grid, so the switch does not diverge.
template <class In, class T>
__global__ void __launch_bounds__(kThreads)
    gan_loss_tile_kernel(const GanLossArguments a, GanLossSums* partial) {
  FASTGAN_STATIC_SHARED(double[kWarps], shared);
  GanLossSums sums;
  switch (a.family) {
    case GanLossFamily::kNonSaturating:
      sums = thread_sums<GanLossFamily::kNonSaturating, In, T>(a);
      break;
    case GanLossFamily::kHinge:
      sums = thread_sums<GanLossFamily::kHinge, In, T>(a);
      break;
    case GanLossFamily::kLeastSquares:
      sums = thread_sums<GanLossFamily::kLeastSquares, In, T>(a);
      break;
    case GanLossFamily::kWasserstein:
      sums = thread_sums<GanLossFamily::kWasserstein, In, T>(a);
      break;
    case GanLossFamily::kRpgan:
      sums = thread_sums<GanLossFamily::kRpgan, In, T>(a);
      break;
  }
  const GanLossSums total = block_sum(sums, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

// One block: thread t adds tiles t, t + kThreads, ... in order, then the tree.
template <class Out>
__global__ void __launch_bounds__(kThreads)
    gan_loss_merge_kernel(const GanLossArguments a, const GanLossSums* partial, int64_t tiles) {
  FASTGAN_STATIC_SHARED(double[kWarps], shared);
  GanLossSums sums;
  for (int64_t tile = threadIdx.x; tile < tiles; tile += kThreads) add(sums, partial[tile]);
  const GanLossSums total = block_sum(sums, shared);
  if (threadIdx.x == 0) {
    finish(total, a.real_count, a.fake_count, static_cast<Out*>(a.d_loss), static_cast<Out*>(a.g_loss),
           static_cast<Out*>(a.statistics));
  }
}

}  // namespace fastgan::cuda
