// affine_act_conv on the CPU: packing of weights, which is the same for every capability, and the tables.
#include "cpu/affine_act_conv.h"

#include <atomic>
#include <cmath>

#include "cpu/capability.h"

namespace fastgan::cpu {
namespace {

// Where tap `tap` of the packed order is in the weight.
std::vector<int64_t> tap_offsets(const Convolution& shape, const int64_t (&stride)[4]) {
  std::vector<int64_t> offsets;
  for (const Phase& phase : phases(shape)) {
    for (int64_t y = 0; y < phase.y.taps; ++y) {
      for (int64_t x = 0; x < phase.x.taps; ++x) {
        offsets.push_back((phase.y.kernel_first + y * phase.y.kernel_step) * stride[2] +
                          (phase.x.kernel_first + x * phase.x.kernel_step) * stride[3]);
      }
    }
  }
  return offsets;
}

// The sixteen taps of a full panel and one input channel, `tap_stride` apart: turned in a square that stays
// in registers and the first-level cache. Returns 0 times them all, which is not 0 if one is not finite.
template <class In, class T>
T pack_square(const In* from, int64_t stride, const int64_t* taps, int64_t tap_stride, T* to) {
  T square[16][kPanel], zeros[kPanel] = {};
  for (int64_t k = 0; k < kPanel; ++k) {
    for (int t = 0; t < 16; ++t) square[t][k] = to_compute(from[k * stride + taps[t]]);
  }
  for (int t = 0; t < 16; ++t) {
    for (int64_t k = 0; k < kPanel; ++k) zeros[k] += square[t][k] * T(0);
    for (int64_t k = 0; k < kPanel; ++k) to[t * tap_stride + k] = square[t][k];
  }
  T zero = 0;
  for (int64_t k = 0; k < kPanel; ++k) zero += zeros[k];
  return zero;
}

// Taps are innermost in the usual layouts: all of one input channel, so that each line is read once.
template <class In, class T>
bool pack_panel(const Convolution& shape, const std::vector<int64_t>& taps, const In* weight,
                const int64_t (&stride)[4], int64_t panel, T* packed) {
  const int64_t used = std::min(kPanel, shape.out_channels - panel * kPanel);
  bool finite = true;
  for (int64_t c = 0; c < shape.in_channels; ++c) {
    const In* const from = weight + panel * kPanel * stride[0] + c * stride[1];
    T* to = packed + c * kPanel;
    if (used == kPanel && taps.size() == 16) {
      finite &= pack_square(from, stride[0], taps.data(), shape.in_channels * kPanel, to) == T(0);
      continue;
    }
    for (const int64_t tap : taps) {
      for (int64_t k = 0; k < used; ++k) {
        to[k] = to_compute(from[k * stride[0] + tap]);
        finite &= std::isfinite(to[k]);
      }
      for (int64_t k = used; k < kPanel; ++k) to[k] = T(0);
      to += shape.in_channels * kPanel;
    }
  }
  return finite;
}

}  // namespace

PackedWeight pack_weight(const Convolution& shape, ElementType type, const void* weight,
                         const int64_t (&stride)[4], void* packed, ParallelFor pool) {
  std::atomic<bool> finite{true};
  const std::vector<int64_t> taps = tap_offsets(shape, stride);
  with_types(type, [&](auto types) {
    using In = typename decltype(types)::In;
    using T = typename decltype(types)::T;
    const int64_t size = static_cast<int64_t>(taps.size()) * shape.in_channels * kPanel;
    parallel_for(pool, panels(shape.out_channels), /*grain=*/1, [&](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel) {
        T* const to = static_cast<T*>(packed) + panel * size;
        if (!pack_panel(shape, taps, static_cast<const In*>(weight), stride, panel, to)) finite = false;
      }
    });
  });
  return {packed, finite};
}

void affine_act_conv(const AffineActConvArguments& arguments, ParallelFor pool) {
  static constexpr Table<decltype(&affine_act_conv_default)> kTable{
      {&affine_act_conv_default, FASTGAN_X86(&affine_act_conv_avx2), FASTGAN_X86(&affine_act_conv_avx512)}};
  select(kTable)(arguments, pool);
}

void affine_act_conv_input_grad(const AffineActConvInputGradArguments& arguments, ParallelFor pool) {
  static constexpr Table<decltype(&affine_act_conv_input_grad_default)> kTable{
      {&affine_act_conv_input_grad_default, FASTGAN_X86(&affine_act_conv_input_grad_avx2),
       FASTGAN_X86(&affine_act_conv_input_grad_avx512)}};
  select(kTable)(arguments, pool);
}

void affine_act_conv_weight_grad(const AffineActConvWeightGradArguments& arguments, ParallelFor pool) {
  static constexpr Table<decltype(&affine_act_conv_weight_grad_default)> kTable{
      {&affine_act_conv_weight_grad_default, FASTGAN_X86(&affine_act_conv_weight_grad_avx2),
       FASTGAN_X86(&affine_act_conv_weight_grad_avx512)}};
  select(kTable)(arguments, pool);
}

}  // namespace fastgan::cpu
