// Which part of a feature map is a thread's, by its tiling.
#pragma once

#include "cuda/device.cuh"
#include "cuda/map_tiling.h"

namespace fastgan::cuda {

// The packs of a thread begin at element `at`, `step` elements apart, `count` of them.
struct ThreadPacks {
  int64_t image;     // as the tiling sees it
  unsigned channel;  // the same, of an NHWC pack the first
  int64_t tile;      // within the image or strip
  int64_t pixel;     // of an NCHW pack, the first
  int64_t at, step;
  int64_t count;
};

// Of those from `first` on, one every `stride`, below both ends.
__device__ inline int64_t packs_between(int64_t first, int64_t stride, int64_t end, int64_t last) {
  const int64_t stop = end < last ? end : last;
  return first < stop ? (stop - first + stride - 1) / stride : 0;
}

__device__ inline ThreadPacks interleaved_packs(const MapTiling& t) {
  const int column = static_cast<int>(threadIdx.x) % t.columns,
            row = static_cast<int>(threadIdx.x) / t.columns;
  ThreadPacks p{};
  p.image = blockIdx.x / t.tiles;
  p.tile = blockIdx.x % t.tiles;
  p.channel = (blockIdx.y * static_cast<unsigned>(t.columns) + static_cast<unsigned>(column)) *
              static_cast<unsigned>(t.pack);
  const int64_t first = p.tile * t.tile + row;
  p.at = (p.image * t.pixels + first) * t.channels + p.channel;
  p.step = t.rows * t.channels;
  const bool works = row < t.rows && p.channel < t.channels;
  p.count = works ? packs_between(first, t.rows, (p.tile + 1) * t.tile, t.pixels) : 0;
  return p;
}

__device__ inline ThreadPacks planar_packs(const MapTiling& t) {
  const int lane = static_cast<int>(threadIdx.x) % t.columns, row = static_cast<int>(threadIdx.x) / t.columns;
  const int64_t number = static_cast<int64_t>(blockIdx.x) * t.rows + row;
  const int64_t strip = number / t.tiles;
  ThreadPacks p{};
  p.tile = number % t.tiles;
  p.image = strip / t.channels;
  p.channel = static_cast<unsigned>(strip % t.channels);
  const int64_t first = p.tile * t.tile + lane;
  p.pixel = first * t.pack;
  p.at = (strip * t.pixels + first) * t.pack;
  p.step = t.columns * t.pack;
  p.count = p.image < t.images ? packs_between(first, t.columns, (p.tile + 1) * t.tile, t.pixels) : 0;
  return p;
}

}  // namespace fastgan::cuda
