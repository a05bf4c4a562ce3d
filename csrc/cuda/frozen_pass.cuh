// The passes of a frozen generator over rows: what no convolution takes along, and the ways in and out.
#pragma once

#include <type_traits>

#include "common/affine_act.h"
#include "common/pixel.h"
#include "cuda/device.cuh"

namespace fastgan::cuda {

constexpr int kFrozenThreads = 256;

// Element j of an image's output is act(scale * x + shift) of its input's element index[j], or j.
struct FrozenPass {
  const void* input;
  void* output;
  int64_t images, size;
  const int64_t* index;  // nullptr for none
  // Tables [1 or classes, channels], by the channel that an element of the input is of; nullptr for none.
  const float *scale, *shift;
  int64_t channels;
  const int64_t* table_rows;  // by image, nullptr for the first
  Activation activation;
  float negative_slope;
  // The way in of labels, nullptr on all others: written to `good_labels` with 0 for what no table has, where
  // the image becomes NaN.
  const int64_t* labels;
  int64_t classes;
  int64_t* good_labels;
};

template <class Out>
__device__ inline Out frozen_stored(float x) {
  if constexpr (std::is_same_v<Out, uint8_t>) {
    return to_pixel(x);
  } else {
    return rounded<Out>(x);
  }
}

__device__ inline float frozen_activated(float x, Activation activation, float negative_slope) {
  switch (activation) {
    case Activation::kLeakyRelu:
      return activate<Activation::kLeakyRelu>(x, negative_slope);
    case Activation::kRelu:
      return activate<Activation::kRelu>(x, negative_slope);
    case Activation::kTanh:
      return activate<Activation::kTanh>(x, negative_slope);
    default:
      return x;
  }
}

// Of `pack` channels from `first` on, which a pack does not run beyond.
template <int pack>
__device__ inline Pack<float, pack> frozen_table(const float* table, int64_t row, int64_t channels,
                                                 int64_t first) {
  const float* const from = table + row * channels + first;
  if constexpr (pack % 4 == 0) {
    Pack<float, pack> all;
#pragma unroll
    for (int part = 0; part < pack; part += 4) {
      const Pack<float> loaded = load_16(from + part);
      memcpy(all.values + part, loaded.values, sizeof loaded);
    }
    return all;
  } else {
    return load_pack<pack>(from);
  }
}

// A thread takes `pack` neighbours, 1 where sizes or alignment ask for it. Without an index they are of
// neighbouring channels.
template <class In, class Out, int pack>
__global__ void __launch_bounds__(kFrozenThreads) frozen_pass_kernel(const FrozenPass a) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kFrozenThreads + threadIdx.x;
  const int64_t packs = a.size / pack, image = thread / packs, first = thread % packs * pack;
  if (image >= a.images) return;
  bool good = true;
  if (a.labels != nullptr) {
    const int64_t label = a.labels[image];
    good = label >= 0 && label < a.classes;
    if (first == 0) a.good_labels[image] = good ? label : 0;
  }
  const In* const from = static_cast<const In*>(a.input) + image * a.size;
  const int64_t row = a.table_rows == nullptr ? 0 : a.table_rows[image];
  float x[pack];
  if (a.index == nullptr) {
    const Pack<In, pack> loaded = load_pack<pack>(from + first);
#pragma unroll
    for (int i = 0; i < pack; ++i) x[i] = to_compute(loaded.values[i]);
    if (a.scale != nullptr) {
      const Pack<float, pack> scale = frozen_table<pack>(a.scale, row, a.channels, first % a.channels);
      const Pack<float, pack> shift = frozen_table<pack>(a.shift, row, a.channels, first % a.channels);
#pragma unroll
      for (int i = 0; i < pack; ++i) x[i] = x[i] * scale.values[i] + shift.values[i];
    }
  } else {
#pragma unroll
    for (int i = 0; i < pack; ++i) {
      const int64_t place = a.index[first + i];
      good = place >= 0 && place < a.size;
      x[i] = good ? to_compute(from[place]) : NAN;
      if (a.scale == nullptr || !good) continue;
      const int64_t at = row * a.channels + place % a.channels;
      x[i] = x[i] * a.scale[at] + a.shift[at];
    }
    good = true;
  }
  Pack<Out, pack> stored;
#pragma unroll
  for (int i = 0; i < pack; ++i) {
    const float y = frozen_activated(x[i], a.activation, a.negative_slope);
    stored.values[i] = frozen_stored<Out>(good ? y : NAN);
  }
  store_pack(static_cast<Out*>(a.output) + image * a.size + first, stored);
}

}  // namespace fastgan::cuda
