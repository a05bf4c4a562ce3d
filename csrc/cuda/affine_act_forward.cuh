// affine_act on CUDA: the kernel of each memory layout.
#pragma once

#include "common/pixel.h"
#include "cuda/affine_act_packs.cuh"
#include "cuda/map_threads.cuh"

namespace fastgan::cuda {

template <int pack, class In>
__device__ inline Pack<uint8_t, pack> pixels_of(const Pack<In, pack>& z) {
  Pack<uint8_t, pack> pixels;
#pragma unroll
  for (int i = 0; i < pack; ++i) pixels.values[i] = to_pixel(static_cast<float>(to_compute(z.values[i])));
  return pixels;
}

// Applies `affine` to the packs of a thread; store(k, at, z) keeps the k-th result, of the elements from `at`
// on.
template <class In, class T, int pack, class Store>
__device__ inline void forward_packs(const void* input, const PackAffine<T, pack>& affine,
                                     const ThreadPacks& packs, const Store& store) {
  const In* const in = static_cast<const In*>(input) + packs.at;
  for (int64_t begin = 0; begin < packs.count; begin += kMapUnroll) {
    Pack<In, pack> x[kMapUnroll];
#pragma unroll
    for (int k = 0; k < kMapUnroll; ++k) {
      if (begin + k < packs.count) x[k] = load_pack<pack>(in + (begin + k) * packs.step);
    }
#pragma unroll
    for (int k = 0; k < kMapUnroll; ++k) {
      if (begin + k >= packs.count) continue;
      store(begin + k, packs.at + (begin + k) * packs.step, narrowed<In>(affine.forward(widened<T>(x[k]))));
    }
  }
}

template <class In, class T, int pack>
__global__ void __launch_bounds__(kMapThreads)
    affine_act_interleaved_kernel(const AffineActArguments a, const MapTiling t) {
  const ThreadPacks packs = interleaved_packs(t);
  if (packs.count == 0) return;
  const auto channels = static_cast<unsigned>(a.shape.channels);
  const PackAffine<T, pack> affine{
      of_channels<T, pack>(a.affine.scale, packs.image, packs.channel, channels, T(1)),
      of_channels<T, pack>(a.affine.shift, packs.image, packs.channel, channels, T(0)), a.affine.activation,
      static_cast<T>(a.affine.negative_slope)};
  forward_packs<In, T, pack>(a.input, affine, packs, [&](int64_t, int64_t at, const Pack<In, pack>& z) {
    if (a.pixels) {
      store_pack(static_cast<uint8_t*>(a.output) + at, pixels_of(z));
    } else {
      store_pack(static_cast<In*>(a.output) + at, z);
    }
  });
}

template <class In, class T, int pack>
__global__ void __launch_bounds__(kMapThreads)
    affine_act_planar_kernel(const AffineActArguments a, const MapTiling t) {
  const ThreadPacks packs = planar_packs(t);
  if (packs.count == 0) return;
  const PackAffine<T, pack> affine{of_channel<T, pack>(a.affine.scale, packs.image, packs.channel, T(1)),
                                   of_channel<T, pack>(a.affine.shift, packs.image, packs.channel, T(0)),
                                   a.affine.activation, static_cast<T>(a.affine.negative_slope)};
  forward_packs<In, T, pack>(a.input, affine, packs, [&](int64_t k, int64_t at, const Pack<In, pack>& z) {
    if (!a.pixels) return store_pack(static_cast<In*>(a.output) + at, z);
    const Pack<uint8_t, pack> pixels = pixels_of(z);
    const int64_t pixel = packs.image * a.shape.pixels + packs.pixel + k * packs.step;
    uint8_t* const out = static_cast<uint8_t*>(a.output) + pixel * a.shape.channels + packs.channel;
    for (int i = 0; i < pack; ++i) out[i * a.shape.channels] = pixels.values[i];
  });
}

}  // namespace fastgan::cuda
