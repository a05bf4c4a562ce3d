// The gradients of affine_act on CUDA: the kernel of each memory layout, and the one that merges their sums.
//
// No atomics: the sums of a block are doubles in `partial` [parts][by scale, by shift][channels], added up in
// order by the second launch, so equal inputs give equal bits.
#pragma once

#include "cuda/affine_act_packs.cuh"
#include "cuda/map_threads.cuh"

namespace fastgan::cuda {

// Of the packs of one thread, at most kMapMostPacks of them.
template <class T, int pack>
struct PackSums {
  Numbers<T, pack> by_scale, by_shift;
};

// Writes d_input where it is wanted, and returns the sums of dv * x and of dv.
template <class In, class T, int pack>
__device__ inline PackSums<T, pack> backward_packs(const AffineActBackwardArguments& a,
                                                   const PackAffine<T, pack>& affine,
                                                   const ThreadPacks& packs) {
  PackSums<T, pack> sums{repeated<T, pack>(0), repeated<T, pack>(0)};
  const In* const grad = static_cast<const In*>(a.grad_output) + packs.at;
  const In* const in = static_cast<const In*>(a.input) + packs.at;
  for (int64_t begin = 0; begin < packs.count; begin += kMapUnroll) {
    Pack<In, pack> dz[kMapUnroll], x[kMapUnroll];
#pragma unroll
    for (int k = 0; k < kMapUnroll; ++k) {
      if (begin + k >= packs.count) continue;
      dz[k] = load_pack<pack>(grad + (begin + k) * packs.step);
      if (a.input != nullptr) x[k] = load_pack<pack>(in + (begin + k) * packs.step);
    }
#pragma unroll
    for (int k = 0; k < kMapUnroll; ++k) {
      if (begin + k >= packs.count) continue;
      const Numbers<T, pack> wide = a.input == nullptr ? repeated<T, pack>(0) : widened<T>(x[k]);
      const Numbers<T, pack> dv = affine.backward(widened<T>(dz[k]), wide);
      Numbers<T, pack> dx;
#pragma unroll
      for (int i = 0; i < pack; ++i) {
        sums.by_scale.values[i] += dv.values[i] * wide.values[i];
        sums.by_shift.values[i] += dv.values[i];
        dx.values[i] = affine.scale.values[i] * dv.values[i];
      }
      if (a.d_input == nullptr) continue;
      store_pack(static_cast<In*>(a.d_input) + packs.at + (begin + k) * packs.step, narrowed<In>(dx));
    }
  }
  return sums;
}

// Where a block keeps a sum by scale (0) or by shift (1).
__device__ inline double* part_of(double* partial, const MapTiling& t, int64_t image, int64_t tile,
                                  int which) {
  return partial + ((image * t.tiles + tile) * 2 + which) * t.channels;
}

// Adds up the rows of a block, in order: first a few rows each, then these. Each pack is cut into parts of 16
// bytes that lie [by scale, by shift][part][thread], so that neither writers nor readers meet in a bank.
template <class T, int pack>
class RowSums {
 public:
  static constexpr int kPart =
      pack < 16 / static_cast<int>(sizeof(T)) ? pack : 16 / static_cast<int>(sizeof(T));
  static constexpr int kParts = pack / kPart;
  using Terms = T[2 * pack * kMapThreads];
  using Groups = double[kMapThreads];

  __device__ RowSums(const MapTiling& tiling, Terms& terms, Groups& groups)
      : t_(tiling), terms_(terms), groups_(groups), thread_(static_cast<int>(threadIdx.x)) {}

  __device__ void store(const PackSums<T, pack>& sums) const {
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      store_part(part, sums.by_scale);
      store_part(kParts + part, sums.by_shift);
    }
  }

  // keep(which, channel, sum) for each sum of the block, `channel` counted within it; after a barrier.
  template <class Keep>
  __device__ void add_up(const Keep& keep) const {
    const int values = 2 * kParts * t_.columns * kPart, groups = kMapThreads / values;
    if (groups <= 1) {
      for (int value = thread_; value < values; value += kMapThreads) {
        keep_value(keep, value, sum_of_rows(value, 0, t_.rows));
      }
      return;
    }
    const int in_group = (t_.rows + groups - 1) / groups, first = thread_ / values * in_group;
    groups_[thread_] = sum_of_rows(thread_ % values, first, first + in_group);
    __syncthreads();
    if (thread_ >= values) return;
    double sum = 0;
    for (int group = 0; group < groups; ++group) sum += groups_[group * values + thread_];
    keep_value(keep, thread_, sum);
  }

 private:
  __device__ void store_part(int plane, const Numbers<T, pack>& numbers) const {
    Pack<T, kPart> part;
    memcpy(part.values, numbers.values + plane % kParts * kPart, sizeof part);
    store_pack(terms_ + (plane * kMapThreads + thread_) * kPart, part);
  }

  __device__ double sum_of_rows(int value, int first, int end) const {
    const int across = t_.columns * kPart, plane = value / across;
    double sum = 0;
    for (int row = first; row < end && row < t_.rows; ++row) {
      sum += terms_[(plane * kMapThreads + row * t_.columns) * kPart + value % across];
    }
    return sum;
  }

  template <class Keep>
  __device__ void keep_value(const Keep& keep, int value, double sum) const {
    const int across = t_.columns * kPart, plane = value / across, rest = value % across;
    keep(plane / kParts, rest / kPart * pack + plane % kParts * kPart + rest % kPart, sum);
  }

  const MapTiling& t_;
  Terms& terms_;
  Groups& groups_;
  int thread_;
};

template <class In, class T, int pack>
__global__ void __launch_bounds__(kMapThreads)
    affine_act_backward_interleaved_kernel(const AffineActBackwardArguments a, const MapTiling t,
                                           double* partial) {
  using Sums = RowSums<T, pack>;
  FASTGAN_STATIC_SHARED(typename Sums::Terms, terms);
  FASTGAN_STATIC_SHARED(typename Sums::Groups, groups);
  const ThreadPacks packs = interleaved_packs(t);
  PackSums<T, pack> sums{repeated<T, pack>(0), repeated<T, pack>(0)};
  if (packs.count > 0) {
    const auto channels = static_cast<unsigned>(a.shape.channels);
    const PackAffine<T, pack> affine{
        of_channels<T, pack>(a.affine.scale, packs.image, packs.channel, channels, T(1)),
        of_channels<T, pack>(a.affine.shift, packs.image, packs.channel, channels, T(0)), a.affine.activation,
        static_cast<T>(a.affine.negative_slope)};
    sums = backward_packs<In, T, pack>(a, affine, packs);
  }
  if (partial == nullptr) return;
  const Sums rows(t, terms, groups);
  rows.store(sums);
  __syncthreads();
  rows.add_up([&](int which, int channel, double sum) {
    const int64_t at = static_cast<int64_t>(blockIdx.y) * t.columns * pack + channel;
    if (at < t.channels) part_of(partial, t, packs.image, packs.tile, which)[at] = sum;
  });
}

template <class In, class T, int pack>
__global__ void __launch_bounds__(kMapThreads)
    affine_act_backward_planar_kernel(const AffineActBackwardArguments a, const MapTiling t,
                                      double* partial) {
  const ThreadPacks packs = planar_packs(t);
  PackSums<T, pack> sums{repeated<T, pack>(0), repeated<T, pack>(0)};
  if (packs.count > 0) {
    const PackAffine<T, pack> affine{of_channel<T, pack>(a.affine.scale, packs.image, packs.channel, T(1)),
                                     of_channel<T, pack>(a.affine.shift, packs.image, packs.channel, T(0)),
                                     a.affine.activation, static_cast<T>(a.affine.negative_slope)};
    sums = backward_packs<In, T, pack>(a, affine, packs);
  }
  if (partial == nullptr) return;
  double by_scale = 0, by_shift = 0;
#pragma unroll
  for (int i = 0; i < pack; ++i) {
    by_scale += sums.by_scale.values[i];
    by_shift += sums.by_shift.values[i];
  }
  for (int bit = t.columns / 2; bit > 0; bit /= 2) {
    by_scale += __shfl_xor_sync(0xffffffffu, by_scale, bit);
    by_shift += __shfl_xor_sync(0xffffffffu, by_shift, bit);
  }
  if (packs.count == 0 || threadIdx.x % t.columns != 0) return;
  part_of(partial, t, packs.image, packs.tile, 0)[packs.channel] = by_scale;
  part_of(partial, t, packs.image, packs.tile, 1)[packs.channel] = by_shift;
}

constexpr int kMergeChannels = 16, kMergeGroups = kMapThreads / kMergeChannels;

// A block for each kMergeChannels numbers of a row of scale (blockIdx.y 0) or shift (1).
template <class T>
__global__ void __launch_bounds__(kMapThreads)
    affine_act_merge_kernel(const AffineActBackwardArguments a, const MapTiling t, const double* partial) {
  FASTGAN_STATIC_SHARED(double[kMapThreads], sums);
  const int which = static_cast<int>(blockIdx.y);
  T* const out = static_cast<T*>(which == 0 ? a.d_scale : a.d_shift);
  const bool one_row = (which == 0 ? a.affine.scale : a.affine.shift).row_stride == 0;
  const int64_t channels = a.shape.channels, in_row = (channels + kMergeChannels - 1) / kMergeChannels;
  const int64_t row = blockIdx.x / in_row;
  if (out == nullptr || row >= (one_row ? 1 : a.shape.images)) return;
  const int thread = static_cast<int>(threadIdx.x), group = thread / kMergeChannels;
  const int64_t channel = blockIdx.x % in_row * kMergeChannels + thread % kMergeChannels;
  const int64_t first = one_row ? 0 : row * t.tiles, end = one_row ? t.images * t.tiles : first + t.tiles;
  double sum = 0;
  if (channel < channels) {
    for (int64_t part = first + group; part < end; part += kMergeGroups) {
      const double* const found = partial + (part * 2 + which) * t.channels + channel;
      for (int f = 0; f < t.fold; ++f) sum += found[f * channels];
    }
  }
  sums[thread] = sum;
  __syncthreads();
  if (group > 0 || channel >= channels) return;
  for (int other = 1; other < kMergeGroups; ++other) sum += sums[other * kMergeChannels + thread];
  out[row * channels + channel] = static_cast<T>(sum);
}

}  // namespace fastgan::cuda
