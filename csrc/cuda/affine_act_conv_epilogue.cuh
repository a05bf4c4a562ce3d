// What becomes of affine_act_conv's sums: bias, activation, rounding, pixels; stores; moments of what is
// stored.
//
// Sums go through shared memory, in passes of up to 64 columns, so that global stores are of 16 bytes and
// moments are taken by columns.
#pragma once

#include "common/pixel.h"
#include "cuda/affine_act_conv_products.cuh"
#include "cuda/moments.cuh"

namespace fastgan::cuda {

template <class T>
__device__ inline float bias_of(const ConvolutionLaunch& a, int channel) {
  if (a.bias == nullptr) return 0.0f;
  if (a.bias_is_float) return to_compute(rounded<T>(static_cast<const float*>(a.bias)[channel]));
  return to_compute(static_cast<const T*>(a.bias)[channel]);
}

// The output that a sum with its bias becomes.
template <class T>
__device__ inline T finished(const ConvolutionLaunch& a, float y) {
  switch (a.output_activation) {
    case Activation::kLeakyRelu:
      return rounded<T>(activate<Activation::kLeakyRelu>(y, a.output_slope));
    case Activation::kRelu:
      return rounded<T>(activate<Activation::kRelu>(y, a.output_slope));
    case Activation::kTanh:
      return rounded<T>(activate<Activation::kTanh>(y, a.output_slope));
    default:
      return rounded<T>(y);
  }
}

// The sums of one pass to shared memory, by the warps that have them.
template <class Tile>
__device__ inline void stage_sums(const Sums<Tile>& sums, int pass, float* tile) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int row = warp / Tile::kWarpsAcross * Tile::kWarpRows + lane / 4;
  const int column = warp % Tile::kWarpsAcross * Tile::kWarpColumns - pass * Tile::kPassColumns;
  if (column < 0 || column >= Tile::kPassColumns) return;
#pragma unroll
  for (int i = 0; i < Sums<Tile>::kDown; ++i) {
#pragma unroll
    for (int j = 0; j < Sums<Tile>::kAcross; ++j) {
#pragma unroll
      for (int below = 0; below < 2; ++below) {
        const int at = (row + 16 * i + 8 * below) * Tile::kPitch + column + 8 * j + 2 * (lane % 4);
        const float pair[2] = {sums.values[i][j][2 * below], sums.values[i][j][2 * below + 1]};
        uint64_t bits;
        memcpy(&bits, pair, sizeof bits);
        // volatile, so that the compiler makes one store of it: of two, some would meet the same bank.
        *reinterpret_cast<volatile uint64_t*>(tile + at) = bits;
      }
    }
  }
}

// As many columns of a row of the pass as 16 bytes of output have, from shared memory. Of halves these are
// two reads; every other four threads do the second one first, so that eight threads meet all banks.
template <int count>
__device__ inline void read_sums(const float* at, float (&y)[count]) {
  if constexpr (count == 4) {
    const Pack<float> all = load_16(at);
    for (int e = 0; e < 4; ++e) y[e] = all.values[e];
  } else {
    const int turned = threadIdx.x / 4 % 2;
    const Pack<float> one = load_16(at + 4 * turned), other = load_16(at + 4 - 4 * turned);
    for (int e = 0; e < 4; ++e) {
      y[e] = turned ? other.values[e] : one.values[e];
      y[4 + e] = turned ? one.values[e] : other.values[e];
    }
  }
}

// Stores a pass, 16 bytes of maps or as many pixels at a time. first: the pass's first channel.
template <class T, class Tile>
__device__ inline void store_pieces(const ConvolutionLaunch& a, const Row* rows, int first,
                                    const float* tile) {
  constexpr int kCount = 16 / sizeof(T), kAcross = Tile::kPassColumns / kCount;
  constexpr int kDown = Tile::kThreads / kAcross;
  const int column = threadIdx.x % kAcross * kCount, channel = first + column;
  const bool there = channel < a.shape.out_channels;
  float bias[kCount];
  for (int e = 0; e < kCount; ++e) bias[e] = there ? bias_of<T>(a, channel + e) : 0.0f;
  for (int row = threadIdx.x / kAcross; row < Tile::kRows; row += kDown) {
    float y[kCount];
    read_sums(tile + row * Tile::kPitch + column, y);
    const int out = rows[row].out;
    if (!there || out < 0) continue;
    const int64_t at = static_cast<int64_t>(out) * a.shape.out_channels + channel;
    Pack<T> stored;
    for (int e = 0; e < kCount; ++e) stored.values[e] = finished<T>(a, y[e] + bias[e]);
    if (a.pixels) {
      Pack<uint8_t, kCount> pixels;
      for (int e = 0; e < kCount; ++e) pixels.values[e] = to_pixel(to_compute(stored.values[e]));
      store_pack(static_cast<uint8_t*>(a.output) + at, pixels);
    } else {
      store_16(static_cast<T*>(a.output) + at, stored);
    }
  }
}

// The same number by number: neighbours take neighbouring channels.
template <class T, class Tile>
__device__ inline void store_numbers(const ConvolutionLaunch& a, const Row* rows, int first,
                                     const float* tile) {
  const int column = threadIdx.x % Tile::kPassColumns, channel = first + column;
  if (channel >= a.shape.out_channels) return;
  const float bias = bias_of<T>(a, channel);
  for (int row = threadIdx.x / Tile::kPassColumns; row < Tile::kRows;
       row += Tile::kThreads / Tile::kPassColumns) {
    const int out = rows[row].out;
    if (out < 0) continue;
    const int64_t at = static_cast<int64_t>(out) * a.shape.out_channels + channel;
    const T y = finished<T>(a, tile[row * Tile::kPitch + column] + bias);
    if (a.pixels) {
      static_cast<uint8_t*>(a.output)[at] = to_pixel(to_compute(y));
    } else {
      static_cast<T*>(a.output)[at] = y;
    }
  }
}

// The moments of a pass's columns, of what is stored less bias, to row `row` of the partial ones: the mean
// first and the squares about it, so that nothing cancels.
template <class T, class Tile>
__device__ inline void write_tile_moments(const ConvolutionLaunch& a, const Row* rows, int first,
                                          const float* tile, int row, float* shared) {
  constexpr int kColumns = Tile::kPassColumns, kThreads = Tile::kThreads, kParts = kThreads / kColumns;
  const int column = threadIdx.x % kColumns, channel = first + column;
  const bool there = channel < a.shape.out_channels;
  const float bias = there ? bias_of<T>(a, channel) : 0.0f;
  const auto value = [&](int r) {
    return to_compute(rounded<T>(tile[r * Tile::kPitch + column] + bias)) - bias;
  };
  float count = 0, sum = 0;
  for (int r = threadIdx.x / kColumns; r < Tile::kRows; r += kParts) {
    if (rows[r].out < 0) continue;
    count += 1;
    sum += value(r);
  }
  count = sum_of_parts<kThreads, kColumns>(count, shared);
  sum = sum_of_parts<kThreads, kColumns>(sum, shared);
  const float per_row = count > 0 ? count : 1.0f, mean = sum / per_row;
  float gaps = 0, squares = 0;
  for (int r = threadIdx.x / kColumns; r < Tile::kRows; r += kParts) {
    if (rows[r].out < 0) continue;
    const float gap = value(r) - mean;
    gaps += gap;
    squares += gap * gap;
  }
  gaps = sum_of_parts<kThreads, kColumns>(gaps, shared);
  squares = sum_of_parts<kThreads, kColumns>(squares, shared);
  const float rest = gaps / per_row;
  if (there && threadIdx.x < kColumns)
    write_moments(a.partial, row, a.shape.out_channels, channel,
                  {count, mean, rest, squares - count * rest * rest});
}

}  // namespace fastgan::cuda
