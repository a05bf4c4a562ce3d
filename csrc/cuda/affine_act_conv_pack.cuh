// The weight of affine_act_conv as its kernel reads it: [phase][step of K][output channel][64 bytes of K].
//
// K runs over the phase's taps and, within a tap, over the input channels; behind its end are zeros. So the
// rows of a tile's columns follow one another, and are copied 16 bytes at a time whatever the channels.
#pragma once

#include "cuda/correlation.h"
#include "cuda/device.cuh"

namespace fastgan::cuda {

struct PackLaunch {
  Correlation shape;
  const void* weight;
  int64_t stride[4];
  void* packed;
  int64_t pieces;
  int k_steps;
  bool tf32;
  int32_t* counters;
  int64_t counter_count;
};

constexpr int kPackThreads = 256;

// One thread, 16 bytes, and a counter. T: of the maps, W: of the weight.
template <class T, class W>
__global__ void __launch_bounds__(kPackThreads) affine_act_conv_pack_kernel(const PackLaunch a) {
  constexpr int kCount = kPieceBytes / sizeof(T), kPerRow = kRowBytes / kPieceBytes;
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kPackThreads + threadIdx.x;
  if (at < a.counter_count) a.counters[at] = 0;
  if (at >= a.pieces) return;
  const int64_t row = at / kPerRow, step = row / a.shape.out_channels;
  const int channel = static_cast<int>(row % a.shape.out_channels);
  const int phase = static_cast<int>(step / a.k_steps);
  const AxisTaps h = axis_taps(a.shape, 0, phase / a.shape.phases(1));
  const AxisTaps w = axis_taps(a.shape, 1, phase % a.shape.phases(1));
  const int first = (static_cast<int>(step % a.k_steps) * kPerRow + static_cast<int>(at % kPerRow)) * kCount;
  const int depth = h.taps * w.taps * a.shape.in_channels, across = w.taps > 0 ? w.taps : 1;
  int from = first % a.shape.in_channels;
  int t_h = first / a.shape.in_channels / across, t_w = first / a.shape.in_channels % across;
  Pack<T> piece;
  for (int e = 0; e < kCount; ++e) {
    float value = 0.0f;
    if (first + e < depth) {
      const int64_t at_w = channel * a.stride[0] + from * a.stride[1] +
                           (h.first + t_h * h.step) * a.stride[2] + (w.first + t_w * w.step) * a.stride[3];
      value = to_compute(static_cast<const W*>(a.weight)[at_w]);
    }
    if (a.tf32) {
      const uint32_t bits = round_to_tf32(value);
      memcpy(&value, &bits, sizeof value);
    }
    piece.values[e] = rounded<T>(value);
    if (++from < a.shape.in_channels) continue;
    from = 0;
    if (++t_w < w.taps) continue;
    t_w = 0;
    ++t_h;
  }
  store_16(static_cast<T*>(a.packed) + at * kCount, piece);
}

}  // namespace fastgan::cuda
