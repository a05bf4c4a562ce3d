// affine_act: the scalar maths of scale, shift and activation. The definition:
// fastgan/reference/affine_act.py.
#pragma once

#include <cstdint>

#include "common/macros.h"
#include "common/tanh.h"

namespace fastgan {

// The values are the order of ACTIVATIONS in fastgan/reference/affine_act.py.
enum class Activation : int64_t { kNone = 0, kLeakyRelu, kRelu, kTanh };

// act(v). A NaN passes, as in torch.
template <Activation activation, class T>
FASTGAN_HOST_DEVICE inline T activate(T v, T negative_slope) {
  if (activation == Activation::kLeakyRelu) return v > T(0) ? v : v * negative_slope;
  if (activation == Activation::kRelu) return v <= T(0) ? T(0) : v;
  if (activation == Activation::kTanh) return tanh_of(v);
  return v;
}

// dz * act'(v); at 0 and at NaN as torch: the negative slope and 0, the negative slope and 1.
template <Activation activation, class T>
FASTGAN_HOST_DEVICE inline T activate_backward(T dz, T v, T negative_slope) {
  if (activation == Activation::kLeakyRelu) return v > T(0) ? dz : dz * negative_slope;
  if (activation == Activation::kRelu) return v <= T(0) ? T(0) : dz;
  if (activation == Activation::kTanh) return dz * tanh_slope(v);
  return dz;
}

// Calls f(Constant<activation>()) for an activation known at run time only.
template <Activation activation>
struct Constant {
  static constexpr Activation value = activation;
};

template <class F>
void with_activation(Activation activation, const F& f) {
  switch (activation) {
    case Activation::kNone:
      return f(Constant<Activation::kNone>());
    case Activation::kLeakyRelu:
      return f(Constant<Activation::kLeakyRelu>());
    case Activation::kRelu:
      return f(Constant<Activation::kRelu>());
    case Activation::kTanh:
      return f(Constant<Activation::kTanh>());
  }
}

}  // namespace fastgan
