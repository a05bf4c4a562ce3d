// affine_act on CUDA: what is done to one pack of elements.
#pragma once

#include "common/affine_act_arguments.h"
#include "cuda/device.cuh"

namespace fastgan::cuda {

// One number for each element of a pack.
template <class T, int pack>
struct Numbers {
  T values[pack];
};

template <class T, int pack>
__device__ inline Numbers<T, pack> repeated(T value) {
  Numbers<T, pack> all;
#pragma unroll
  for (int i = 0; i < pack; ++i) all.values[i] = value;
  return all;
}

template <class T, int pack, class In>
__device__ inline Numbers<T, pack> widened(const Pack<In, pack>& from) {
  Numbers<T, pack> all;
#pragma unroll
  for (int i = 0; i < pack; ++i) all.values[i] = to_compute(from.values[i]);
  return all;
}

template <class In, class T, int pack>
__device__ inline Pack<In, pack> narrowed(const Numbers<T, pack>& from) {
  Pack<In, pack> all;
#pragma unroll
  for (int i = 0; i < pack; ++i) all.values[i] = rounded<In>(from.values[i]);
  return all;
}

template <class T>
__device__ inline const T* row_of(const Rows& rows, int64_t image) {
  return static_cast<const T*>(rows.data) + image * rows.row_stride;
}

// Of the channels from `first` on, which begin again after `channels`; `absent` where there are no rows.
template <class T, int pack>
__device__ inline Numbers<T, pack> of_channels(const Rows& rows, int64_t image, unsigned first,
                                               unsigned channels, T absent) {
  if (rows.data == nullptr) return repeated<T, pack>(absent);
  const T* const row = row_of<T>(rows, image);
  constexpr int kPart = 16 / sizeof(T);
  Numbers<T, pack> all;
  if constexpr (pack % kPart == 0) {
    if (first + pack <= channels && reinterpret_cast<uintptr_t>(row + first) % 16 == 0) {
#pragma unroll
      for (int part = 0; part < pack; part += kPart) {
        const Pack<T> loaded = load_16(row + first + part);
        memcpy(all.values + part, loaded.values, sizeof loaded);
      }
      return all;
    }
  }
#pragma unroll
  for (int i = 0; i < pack; ++i) all.values[i] = row[(first + i) % channels];
  return all;
}

// Of one channel, for every element of a pack.
template <class T, int pack>
__device__ inline Numbers<T, pack> of_channel(const Rows& rows, int64_t image, int64_t channel, T absent) {
  return repeated<T, pack>(rows.data == nullptr ? absent : row_of<T>(rows, image)[channel]);
}

template <class T, int pack>
struct PackAffine {
  Numbers<T, pack> scale, shift;
  Activation activation;
  T negative_slope;

  __device__ T value(int i, T x) const { return scale.values[i] * x + shift.values[i]; }

  __device__ Numbers<T, pack> forward(const Numbers<T, pack>& x) const {
    switch (activation) {  // one for the whole grid
      case Activation::kNone:
        return forward_by<Activation::kNone>(x);
      case Activation::kLeakyRelu:
        return forward_by<Activation::kLeakyRelu>(x);
      case Activation::kRelu:
        return forward_by<Activation::kRelu>(x);
      case Activation::kTanh:
        return forward_by<Activation::kTanh>(x);
    }
    return x;
  }

  // dv of dz; x may be anything without an activation.
  __device__ Numbers<T, pack> backward(const Numbers<T, pack>& dz, const Numbers<T, pack>& x) const {
    switch (activation) {
      case Activation::kNone:
        return dz;
      case Activation::kLeakyRelu:
        return backward_by<Activation::kLeakyRelu>(dz, x);
      case Activation::kRelu:
        return backward_by<Activation::kRelu>(dz, x);
      case Activation::kTanh:
        return backward_by<Activation::kTanh>(dz, x);
    }
    return dz;
  }

 private:
  template <Activation kind>
  __device__ Numbers<T, pack> forward_by(const Numbers<T, pack>& x) const {
    Numbers<T, pack> z;
#pragma unroll
    for (int i = 0; i < pack; ++i) z.values[i] = activate<kind>(value(i, x.values[i]), negative_slope);
    return z;
  }

  template <Activation kind>
  __device__ Numbers<T, pack> backward_by(const Numbers<T, pack>& dz, const Numbers<T, pack>& x) const {
    Numbers<T, pack> dv;
#pragma unroll
    for (int i = 0; i < pack; ++i) {
      dv.values[i] = activate_backward<kind>(dz.values[i], value(i, x.values[i]), negative_slope);
    }
    return dv;
  }
};

}  // namespace fastgan::cuda
