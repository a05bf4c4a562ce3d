// Per channel, count, mean and sum of squared deviations over all tiles of a grid, inside one launch.
//
// Every tile writes the moments of its rows and counts itself in; the block that finds all others counted
// merges them: first within groups of tiles, then the groups. Which block that is depends on the run, the
// order of the merge does not, so equal inputs give equal bits. Nothing cancels: squares are about the mean
// of their rows, and merges are in double (Chan, Golub, LeVeque). A mean is kept as two floats, `rest` being
// what rounding left out of the first. Rows of moments are float [rows, 4, channels]: count, mean, rest,
// squares.
#pragma once

#include "cuda/device.cuh"

namespace fastgan::cuda {

struct MomentsRow {
  float count, mean, rest, squares;
};

__device__ inline void write_moments(float* rows, int row, int channels, int channel, const MomentsRow& it) {
  float* const at = rows + static_cast<int64_t>(row) * 4 * channels + channel;
  at[0] = it.count;
  at[channels] = it.mean;
  at[2 * static_cast<int64_t>(channels)] = it.rest;
  at[3 * static_cast<int64_t>(channels)] = it.squares;
}

// Past this block's cache: other blocks wrote them in this launch.
__device__ inline MomentsRow read_moments(const float* rows, int row, int channels, int channel) {
  const volatile float* const at = rows + static_cast<int64_t>(row) * 4 * channels + channel;
  return {at[0], at[channels], at[2 * static_cast<int64_t>(channels)],
          at[3 * static_cast<int64_t>(channels)]};
}

// Counts this block in; whether it is the last of `arrivals`, which then sees what the others wrote before.
// The last one sets the counter back to 0 for the next launch. `flag` is shared memory of the block's own.
__device__ inline bool is_last(int32_t* counter, int arrivals, int* flag) {
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    const bool last = atomicAdd(counter, 1) == arrivals - 1;
    if (last) *counter = 0;
    *flag = last;
  }
  __syncthreads();
  const bool last = *flag != 0;
  __threadfence();
  return last;
}

// Sums that the threads of a column hold, in the order of their parts; all threads get the total. kColumns
// divides kThreads; thread t is part t / kColumns of column t % kColumns. `shared` holds kThreads numbers.
template <int kThreads, int kColumns, class T>
__device__ inline T sum_of_parts(T value, T* shared) {
  __syncthreads();  // the sum before may still be read
  shared[threadIdx.x] = value;
  __syncthreads();
  T total = 0;
  for (int part = 0; part < kThreads / kColumns; ++part)
    total += shared[part * kColumns + threadIdx.x % kColumns];
  return total;
}

struct MergedMoments {
  double count, mean, squares;
};

// Of rows first .. end of one channel, by all threads of its column.
template <int kThreads, int kColumns>
__device__ inline MergedMoments merge_moments(const float* rows, int first, int end, int channels,
                                              int channel, double* shared) {
  constexpr int kParts = kThreads / kColumns;
  const int part = threadIdx.x / kColumns;
  double count = 0, total = 0;
  if (channel < channels) {
    for (int row = first + part; row < end; row += kParts) {
      const MomentsRow it = read_moments(rows, row, channels, channel);
      count += it.count;
      total += static_cast<double>(it.count) * (static_cast<double>(it.mean) + it.rest);
    }
  }
  count = sum_of_parts<kThreads, kColumns>(count, shared);
  total = sum_of_parts<kThreads, kColumns>(total, shared);
  const double mean = total / (count > 0 ? count : 1.0);
  double squares = 0;
  if (channel < channels) {
    for (int row = first + part; row < end; row += kParts) {
      const MomentsRow it = read_moments(rows, row, channels, channel);
      const double gap = static_cast<double>(it.mean) + it.rest - mean;
      squares += it.squares + it.count * gap * gap;
    }
  }
  return {count, mean, sum_of_parts<kThreads, kColumns>(squares, shared)};
}

// Where the moments of a grid's tiles are collected. Tiles are counted for each block of columns alike.
struct MomentsPlan {
  float* partial;     // [tiles]
  float* groups;      // [group_count]
  int32_t* counters;  // [group_count + 1], of this block of columns
  int tiles, group_tiles, group_count, channels;
  float* mean;
  float* var;
};

// After all threads of the block have written its tile's moments: the merge, if it is this block's. `shared`
// holds kThreads doubles and, behind them, an int. The block's columns are those from `first_column` on.
template <int kThreads, int kColumns, int kBlockColumns>
__device__ inline void finish_moments(const MomentsPlan& plan, int tile, int first_column, double* shared) {
  int* const flag = reinterpret_cast<int*>(shared + kThreads);
  const int group = tile / plan.group_tiles, first = group * plan.group_tiles;
  const int end = first + plan.group_tiles < plan.tiles ? first + plan.group_tiles : plan.tiles;
  const bool writes = threadIdx.x < kColumns;
  if (!is_last(plan.counters + group, end - first, flag)) return;
  for (int columns = 0; columns < kBlockColumns; columns += kColumns) {
    const int channel = first_column + columns + threadIdx.x % kColumns;
    const MergedMoments it =
        merge_moments<kThreads, kColumns>(plan.partial, first, end, plan.channels, channel, shared);
    const float mean = static_cast<float>(it.mean);
    if (writes && channel < plan.channels) {
      write_moments(plan.groups, group, plan.channels, channel,
                    {static_cast<float>(it.count), mean, static_cast<float>(it.mean - mean),
                     static_cast<float>(it.squares)});
    }
  }
  if (!is_last(plan.counters + plan.group_count, plan.group_count, flag)) return;
  for (int columns = 0; columns < kBlockColumns; columns += kColumns) {
    const int channel = first_column + columns + threadIdx.x % kColumns;
    const MergedMoments it =
        merge_moments<kThreads, kColumns>(plan.groups, 0, plan.group_count, plan.channels, channel, shared);
    if (writes && channel < plan.channels) {
      plan.mean[channel] = static_cast<float>(it.mean);
      plan.var[channel] = static_cast<float>(it.squares / (it.count > 0 ? it.count : 1.0));
    }
  }
}

}  // namespace fastgan::cuda
