// gan_loss on CUDA: one kernel for terms, gradients and sums per tile, one block that merges the tiles.
//
// Two launches and no atomics: sums are taken in a fixed order, so equal inputs give equal bits.
#pragma once

#include "common/gan_loss.h"
#include "cuda/device.cuh"

namespace fastgan::cuda {

constexpr int kThreads = 256;  // of the block that merges

// Logits of a thread, side by side, in packs of 16 bytes; a tile has as many threads as it takes.
template <class In>
constexpr int kElements = sizeof(In) == 2 ? 8 : 4;
template <class In>
constexpr int kTileThreads = static_cast<int>(kGanLossTile) / kElements<In>;

// Sum over the block in a fixed tree; the result is valid in thread 0.
template <int warps>
__device__ inline double block_sum(double value, double (&shared)[warps]) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_down_sync(0xffffffffu, value, offset);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  __syncthreads();  // the previous sum may still be read
  if (lane == 0) shared[warp] = value;
  __syncthreads();
  double total = 0;
  if (threadIdx.x == 0) {
    for (int w = 0; w < warps; ++w) total += shared[w];
  }
  return total;
}

template <int warps>
__device__ inline GanLossSums block_sum(const GanLossSums& sums, double (&shared)[warps]) {
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

template <class T>
__device__ inline bool has_packs(const T* memory) {
  return reinterpret_cast<uintptr_t>(memory) % 16 == 0;
}

// The logits from `first` on, 0 behind the last one; returns how many there are.
template <class In, class T>
__device__ inline int read_logits(const void* logits, int64_t count, int64_t first, T (&x)[kElements<In>]) {
  constexpr int kCount = kElements<In>, kPack = 16 / sizeof(In);
  const int64_t left = count - first;
  const int here = left >= kCount ? kCount : left > 0 ? static_cast<int>(left) : 0;
#pragma unroll
  for (int e = 0; e < kCount; ++e) x[e] = 0;
  if (here == 0) return 0;
  const In* const from = static_cast<const In*>(logits) + first;
  if (here == kCount && has_packs(from)) {
#pragma unroll
    for (int e = 0; e < kCount; e += kPack) {
      const Pack<In> pack = load_16(from + e);
#pragma unroll
      for (int i = 0; i < kPack; ++i) x[e + i] = to_compute(pack.values[i]);
    }
  } else {
#pragma unroll
    for (int e = 0; e < kCount; ++e) {
      if (e < here) x[e] = to_compute(from[e]);
    }
  }
  return here;
}

// The first `here` of these gradients, each times `sign`, from index `first` on.
template <class T, int count>
__device__ inline void write_gradients(void* gradients, int64_t first, int here, const T (&x)[count],
                                       T sign = T(1)) {
  constexpr int kPack = 16 / sizeof(T);
  if (here == 0) return;
  T* const to = static_cast<T*>(gradients) + first;
  if (here == count && has_packs(to)) {
#pragma unroll
    for (int e = 0; e < count; e += kPack) {
      Pack<T> pack;
#pragma unroll
      for (int i = 0; i < kPack; ++i) pack.values[i] = sign * x[e + i];
      store_16(to + e, pack);
    }
  } else {
#pragma unroll
    for (int e = 0; e < count; ++e) {
      if (e < here) to[e] = sign * x[e];
    }
  }
}

template <class T, int count>
__device__ inline void add_pairs(const GanLossArguments& a, int64_t first, int here, const T (&real)[count],
                                 const T (&fake)[count], GanLossSums& sums) {
  const T per_pair = T(1) / static_cast<T>(a.fake_count);
  T d_slope[count], g_slope[count];
#pragma unroll
  for (int e = 0; e < count; ++e) {
    const PairTerm<T> term = GanLossTerms<GanLossFamily::kRpgan>::pair(real[e], fake[e]);
    d_slope[e] = term.d_slope_real * per_pair;
    g_slope[e] = term.g_slope_real * per_pair;
    if (e >= here) continue;
    sums.fake_loss += term.d_loss;
    sums.g_loss += term.g_loss;
  }
  write_gradients(a.d_grad_real, first, here, d_slope);
  write_gradients(a.d_grad_fake, first, here, d_slope, T(-1));
  write_gradients(a.g_grad_real, first, here, g_slope);
  write_gradients(a.g_grad_fake, first, here, g_slope, T(-1));
}

template <GanLossFamily family, class T, int count>
__device__ inline void add_reals(const GanLossArguments& a, int64_t first, int here, const T (&real)[count],
                                 GanLossSums& sums) {
  const T per_real = T(1) / static_cast<T>(a.real_count);
  T slope[count];
#pragma unroll
  for (int e = 0; e < count; ++e) {
    const RealTerm<T> term = GanLossTerms<family>::real(real[e]);
    slope[e] = term.slope * per_real;
    if (e < here) sums.real_loss += term.loss;
  }
  write_gradients(a.d_grad_real, first, here, slope);
}

template <GanLossFamily family, class T, int count>
__device__ inline void add_fakes(const GanLossArguments& a, int64_t first, int here, const T (&fake)[count],
                                 GanLossSums& sums) {
  const T per_fake = T(1) / static_cast<T>(a.fake_count);
  T d_slope[count], g_slope[count];
#pragma unroll
  for (int e = 0; e < count; ++e) {
    const FakeTerm<T> term = GanLossTerms<family>::fake(fake[e]);
    d_slope[e] = term.d_slope * per_fake;
    g_slope[e] = term.g_slope * per_fake;
    if (e >= here) continue;
    sums.fake_loss += term.d_loss;
    sums.g_loss += term.g_loss;
  }
  write_gradients(a.d_grad_fake, first, here, d_slope);
  write_gradients(a.g_grad_fake, first, here, g_slope);
}

// What lies behind the last logit is 0 and changes neither.
template <class T, int count>
__device__ inline void add_statistics(const T (&x)[count], double& sum, double& positive) {
#pragma unroll
  for (int e = 0; e < count; ++e) {
    sum += x[e];
    positive += x[e] > T(0) ? 1 : 0;
  }
}

template <GanLossFamily family, class In, class T>
__device__ inline GanLossSums thread_sums(const GanLossArguments& a) {
  const int64_t first = blockIdx.x * kGanLossTile + threadIdx.x * kElements<In>;
  T real[kElements<In>], fake[kElements<In>];
  const int reals = read_logits<In>(a.real, a.real_count, first, real);
  const int fakes = read_logits<In>(a.fake, a.fake_count, first, fake);
  GanLossSums sums;
  add_statistics(real, sums.real, sums.real_positive);
  add_statistics(fake, sums.fake, sums.fake_positive);
  if constexpr (family == GanLossFamily::kRpgan) {
    add_pairs(a, first, fakes, real, fake, sums);
  } else {
    add_reals<family>(a, first, reals, real, sums);
    add_fakes<family>(a, first, fakes, fake, sums);
  }
  return sums;
}

// One block per tile. The family is the same for the whole grid, so the switch does not diverge.
template <class In, class T>
__global__ void __launch_bounds__(kTileThreads<In>)
    gan_loss_tile_kernel(const GanLossArguments a, GanLossSums* partial) {
  FASTGAN_STATIC_SHARED(double[kTileThreads<In> / 32], shared);
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
  FASTGAN_STATIC_SHARED(double[kThreads / 32], shared);
  GanLossSums sums;
  for (int64_t tile = threadIdx.x; tile < tiles; tile += kThreads) add(sums, partial[tile]);
  const GanLossSums total = block_sum(sums, shared);
  if (threadIdx.x == 0) {
    finish(total, a.real_count, a.fake_count, static_cast<Out*>(a.d_loss), static_cast<Out*>(a.g_loss),
           static_cast<Out*>(a.statistics));
  }
}

}  // namespace fastgan::cuda
