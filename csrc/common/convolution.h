// Convolution and transposed convolution as one thing: per output phase, a dense correlation.
//
// Along one axis, with stride s, padding p and kernel k, an output of the convolution reads
// in[i * s - p + tap], one of the transposed convolution all in[(o + p - tap) / s] with no remainder. The
// outputs o = phase + i * s of one phase share the taps that divide, and read in[i + offset + t] for
// t = 0, 1, ...: again a correlation, with consecutive inputs. The convolution is its own single phase. Of a
// single input every output of the transposed convolution reads one tap: each is a phase.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace fastgan {

struct Convolution {
  int64_t in_channels, out_channels;
  int64_t in_size[2], out_size[2];  // height, width
  int64_t kernel[2], stride[2], padding[2];
  bool transposed;

  // The input gradient's convolution: the other of the two, from output to input, with the same weight.
  Convolution backward() const {
    Convolution other = *this;
    std::swap(other.in_channels, other.out_channels);
    std::swap_ranges(other.in_size, other.in_size + 2, other.out_size);
    other.transposed = !transposed;
    return other;
  }
  int64_t in_pixels() const { return in_size[0] * in_size[1]; }
  int64_t out_pixels() const { return out_size[0] * out_size[1]; }
  int64_t taps() const { return kernel[0] * kernel[1]; }
};

// One phase along one axis: output first + i * step, i < count, is the sum over t < taps of
// in[i * in_step + offset + t] times kernel tap kernel_first + t * kernel_step.
struct AxisPhase {
  int64_t first, step, count;
  int64_t in_step, offset, taps;
  int64_t kernel_first, kernel_step;
};

struct Phase {
  AxisPhase y, x;
  int64_t first_tap;  // taps of the phases before it
};

inline std::vector<AxisPhase> axis_phases(const Convolution& shape, int axis) {
  const int64_t stride = shape.stride[axis], padding = shape.padding[axis];
  const int64_t kernel = shape.kernel[axis], out = shape.out_size[axis];
  if (!shape.transposed) return {{0, 1, out, stride, -padding, kernel, 0, 1}};
  std::vector<AxisPhase> phases;
  if (shape.in_size[axis] == 1) {
    for (int64_t o = 0; o < out; ++o)
      phases.push_back({o, 1, 1, 1, 0, o + padding < kernel, o + padding, -stride});
    return phases;
  }
  for (int64_t r = 0; r < stride; ++r) {
    const int64_t lowest = (r + padding) % stride;
    const int64_t taps = lowest < kernel ? (kernel - 1 - lowest) / stride + 1 : 0;
    const int64_t count = r < out ? (out - r - 1) / stride + 1 : 0;
    // The highest tap reads the leftmost input.
    const int64_t offset = (r + padding - lowest) / stride - (taps - 1);
    phases.push_back({r, stride, count, 1, offset, taps, lowest + (taps - 1) * stride, -stride});
  }
  return phases;
}

inline std::vector<Phase> phases(const Convolution& shape) {
  std::vector<Phase> all;
  int64_t taps = 0;
  for (const AxisPhase& y : axis_phases(shape, 0)) {
    for (const AxisPhase& x : axis_phases(shape, 1)) {
      all.push_back({y, x, taps});
      taps += y.taps * x.taps;
    }
  }
  return all;
}

// Taps of all phases: the kernel's, but for those that no output reads.
inline int64_t phase_taps(const Convolution& shape) {
  int64_t taps = 0;
  for (const Phase& phase : phases(shape)) taps += phase.y.taps * phase.x.taps;
  return taps;
}

// Inputs [low, low + count) that the phases read along an axis; count 0 if none.
struct Extent {
  int64_t low, count;
};

inline Extent input_extent(const Convolution& shape, int axis) {
  int64_t low = INT64_MAX, high = INT64_MIN;
  for (const AxisPhase& phase : axis_phases(shape, axis)) {
    if (phase.count == 0 || phase.taps == 0) continue;
    low = std::min(low, phase.offset);
    high = std::max(high, (phase.count - 1) * phase.in_step + phase.offset + phase.taps);
  }
  return high > low ? Extent{low, high - low} : Extent{0, 0};
}

}  // namespace fastgan
