// The definitions, in double and straight from the formulas: nothing is fast, nothing is shared with
// csrc/cpu.
//
// Feature maps are [N, H, W, C]; weights [out, in, kH, kW], of a transposed convolution [in, out, kH, kW].
#pragma once

#include <cmath>

#include "common/affine_act.h"
#include "common/convolution.h"
#include "numbers.h"

namespace fastgan::test {

// Calls use(input, output, weight), the places of the three numbers, for every product of the convolution.
// Each of its derivatives is a sum of the same products with other partners.
template <class F>
void each_product(const Convolution& shape, int64_t images, const F& use) {
  // The strided map is the input of a convolution and the output of a transposed one.
  const int64_t* const small = shape.transposed ? shape.in_size : shape.out_size;
  const int64_t* const large = shape.transposed ? shape.out_size : shape.in_size;
  const int64_t small_channels = shape.transposed ? shape.in_channels : shape.out_channels;
  const int64_t large_channels = shape.transposed ? shape.out_channels : shape.in_channels;
  const int64_t taps = shape.kernel[0] * shape.kernel[1];
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t pixel = 0; pixel < small[0] * small[1]; ++pixel) {
        const int64_t y = pixel / small[1] * shape.stride[0] - shape.padding[0] + tap / shape.kernel[1];
        const int64_t x = pixel % small[1] * shape.stride[1] - shape.padding[1] + tap % shape.kernel[1];
        if (y < 0 || y >= large[0] || x < 0 || x >= large[1]) continue;
        const int64_t at_small = (n * small[0] * small[1] + pixel) * small_channels;
        const int64_t at_large = ((n * large[0] + y) * large[1] + x) * large_channels;
        for (int64_t s = 0; s < small_channels; ++s) {
          for (int64_t l = 0; l < large_channels; ++l) {
            const int64_t weight = (s * large_channels + l) * taps + tap;
            if (shape.transposed) {
              use(at_small + s, at_large + l, weight);
            } else {
              use(at_large + l, at_small + s, weight);
            }
          }
        }
      }
    }
  }
}

// scale and shift: [1, C], [N, C] or none.
struct AffineNumbers {
  Numbers scale, shift;
  Activation activation = Activation::kNone;
  double negative_slope = 1.0;

  // Of channel c of image n.
  double scale_at(int64_t n, int64_t c, int64_t channels) const { return at(scale, n, c, channels, 1.0); }
  double shift_at(int64_t n, int64_t c, int64_t channels) const { return at(shift, n, c, channels, 0.0); }

 private:
  static double at(const Numbers& rows, int64_t n, int64_t c, int64_t channels, double absent) {
    if (rows.empty()) return absent;
    return rows[static_cast<size_t>(static_cast<int64_t>(rows.size()) == channels ? c : n * channels + c)];
  }
};

// act(v), and act'(v) as torch has it at 0 and NaN.
inline double activated(const AffineNumbers& affine, double v) {
  if (affine.activation == Activation::kTanh) return std::tanh(v);
  if (affine.activation == Activation::kLeakyRelu) return v > 0 ? v : v * affine.negative_slope;
  if (affine.activation == Activation::kRelu) return v <= 0 ? 0 : v;
  return v;
}

inline double activated_backward(const AffineNumbers& affine, double dz, double v) {
  if (affine.activation == Activation::kTanh) return dz * (1 - std::tanh(v) * std::tanh(v));
  if (affine.activation == Activation::kLeakyRelu) return v > 0 ? dz : dz * affine.negative_slope;
  if (affine.activation == Activation::kRelu) return v <= 0 ? 0 : dz;
  return dz;
}

struct AffineGradients {
  Numbers d_input, d_scale, d_shift;  // the latter two in the shapes of scale and shift
};

// x [N, pixels, C] to act(scale * x + shift), and back.
Numbers affine_act(const AffineNumbers& affine, const Numbers& x, int64_t images, int64_t channels);
AffineGradients affine_act_backward(const AffineNumbers& affine, const Numbers& dz, const Numbers& x,
                                    int64_t images, int64_t channels);

struct MeanAndVariance {
  Numbers mean, var;  // [C], var biased
};

// Of maps [N, pixels, C] less bias [C], which may be empty.
MeanAndVariance channel_statistics(const Numbers& maps, const Numbers& bias, int64_t channels);

// The gradient of what a convolution puts out, given those of its output, mean and var; what is empty is
// zero.
struct OutputGradientNumbers {
  Numbers grad_output, grad_mean, grad_var, mean, output, bias;
  Numbers dy(int64_t count, int64_t channels) const;  // count: numbers per channel
};

}  // namespace fastgan::test
