// How the operands of affine_act_conv's products come to shared memory, and how x becomes z on the way there.
//
// Both lie there in rows of 64 bytes of K, in four pieces of 16 bytes whose places are swizzled: eight
// threads that store or read row after row, or ldmatrix's eight rows of one piece, meet each of the 32 banks
// once.
//
// Operand A is z = act(scale * x + shift) and 0 where a tap lies outside the image. Where 16 bytes divide x's
// pixels (WholeInput), cp.async brings x; when it has landed, each thread rewrites in shared memory the
// pieces that it copied itself, before the barrier that shows them to others. Where they do not
// (ElementInput), a thread reads numbers, or pixels of 8 bytes, to registers while the products of an earlier
// step run, and stores z after them.
#pragma once

#include "common/affine_act.h"
#include "cuda/affine_act_conv_tiles.h"
#include "cuda/device.cuh"

namespace fastgan::cuda {

constexpr int kPieces = kRowBytes / kPieceBytes;
constexpr int kFar = -(1 << 30);  // the input row of a masked output: no tap brings it into the image

// Eight rows further down it is the same place 8 * kRowBytes later; two pieces further it is the place ^ 32.
__device__ inline int swizzled(int row, int piece) {
  return row * kRowBytes + ((piece ^ (row >> 1)) & (kPieces - 1)) * kPieceBytes;
}

// The first input that a row's output reads: where it lies in its image, and its pixel counted from the map's
// first. vector: the row's scale and shift, as a slot of shared memory or, without slots, an image.
struct alignas(16) Row {
  int h, w, pixel, vector;
};

// What a block knows about the rows of its tile, in shared memory. outputs: pixels of the map; -1 for a row
// without one.
struct TileRows {
  Row* inputs;
  int* outputs;
};

// Where K stands: a tap of the phase and a channel.
struct Place {
  int t_h, t_w, channel;
};

struct PhaseTaps {
  AxisTaps h, w;

  __device__ int count() const { return h.taps * w.taps; }
  __device__ Place place(int k, int channels) const {
    const int tap = k / channels, across = w.taps > 0 ? w.taps : 1;
    return {tap / across, tap % across, k % channels};
  }
  __device__ bool has(const Place& at) const { return at.t_h < h.taps; }
  // Goes on by that many taps and channels, channels being fewer than there are.
  __device__ void advance(Place& at, int taps, int channels, int in_channels) const {
    at.t_w += taps;
    at.channel += channels;
    if (at.channel >= in_channels) {
      at.channel -= in_channels;
      ++at.t_w;
    }
    while (at.t_w >= w.taps && at.t_h < h.taps) {
      at.t_w -= w.taps;
      ++at.t_h;
    }
  }
};

__device__ inline bool inside(const Correlation& shape, const Row& row, const Place& at) {
  return static_cast<unsigned>(row.h + at.t_h) < static_cast<unsigned>(shape.in_size[0]) &&
         static_cast<unsigned>(row.w + at.t_w) < static_cast<unsigned>(shape.in_size[1]);
}

// The rows of a tile from row `first` of the phase on.
template <class Tile>
__device__ inline void fill_rows(const ConvolutionLaunch& a, const PhaseTaps& taps, int phase_h, int phase_w,
                                 int first, const TileRows& rows) {
  const Correlation& shape = a.shape;
  const int width = shape.outputs(1), pixels = shape.outputs(0) * width;
  for (int r = threadIdx.x; r < Tile::kRows; r += Tile::kThreads) {
    const int m = first + r, sample = m / pixels, pixel = m % pixels;
    const int i = pixel / width, j = pixel % width;
    const int out_h = i * shape.phases(0) + phase_h, out_w = j * shape.phases(1) + phase_w;
    const bool there = m < a.rows && out_h < shape.out_size[0] && out_w < shape.out_size[1];
    const int h = i * shape.in_step(0) + taps.h.offset, w = j * shape.in_step(1) + taps.w.offset;
    const int slot = a.scale_stride != 0 || a.shift_stride != 0 ? sample - first / pixels : 0;
    const int pixel_in = there ? (sample * shape.in_size[0] + h) * shape.in_size[1] + w : 0;
    rows.inputs[r] = {there ? h : kFar, w, pixel_in, !there ? 0 : a.slots > 0 ? slot : sample};
    rows.outputs[r] = there ? (sample * shape.out_size[0] + out_h) * shape.out_size[1] + out_w : -1;
  }
}

__device__ inline int64_t vector_row(const ConvolutionLaunch& a, int sample) {
  return a.sample_rows != nullptr ? a.sample_rows[sample] : sample;
}

// Scale and shift of the block's images to shared memory; 1 and -0, which change nothing, where there is
// none. Behind the last channel they begin anew: where a step of K goes from one tap to the next, its four
// pieces find theirs side by side, in different banks.
template <class Tile, int count>
__device__ inline void fill_vectors(const ConvolutionLaunch& a, int first_sample, float* shared) {
  const int channels = a.shape.in_channels;
  for (int slot = 0; slot < a.slots && first_sample + slot < a.images; ++slot) {
    const int64_t row = vector_row(a, first_sample + slot);
    float* const to = shared + slot * a.slot_floats;
    for (int at = 4 * threadIdx.x; at < channels + (kPieces - 1) * count; at += 4 * Tile::kThreads) {
      Pack<float> scale{{1.0f, 1.0f, 1.0f, 1.0f}}, shift{{-0.0f, -0.0f, -0.0f, -0.0f}};
      if (a.scale != nullptr) scale = load_16(a.scale + row * a.scale_stride + at % channels);
      if (a.shift != nullptr) shift = load_16(a.shift + row * a.shift_stride + at % channels);
      store_16(to + at, scale);
      store_16(to + a.shift_after + at, shift);
    }
  }
}

// z from x with a scale and a shift, as it is multiplied: rounded to what is stored and, if need be, to tf32.
template <class T, bool tf32, Activation activation>
__device__ inline T operand(T x, float scale, float shift, float negative_slope) {
  T z = rounded<T>(activate<activation>(to_compute(x) * scale + shift, negative_slope));
  if constexpr (tf32) {
    const uint32_t bits = round_to_tf32(z);
    memcpy(&z, &bits, sizeof z);
  }
  return z;
}

// Calls f(Constant<activation>()) for the activation of an input, which is not tanh.
template <class F>
__device__ inline void with_input_activation(Activation activation, const F& f) {
  if (activation == Activation::kLeakyRelu) {
    f(Constant<Activation::kLeakyRelu>());
  } else if (activation == Activation::kRelu) {
    f(Constant<Activation::kRelu>());
  } else {
    f(Constant<Activation::kNone>());
  }
}

__device__ inline bool changes_input(const ConvolutionLaunch& a) {
  return a.scale != nullptr || a.shift != nullptr || a.activation != Activation::kNone;
}

template <class T, bool tf32, class Tile>
class WholeInput {
 public:
  static constexpr int kCount = kPieceBytes / sizeof(T);  // numbers of a piece
  static constexpr int kMine = Tile::kRows * kPieces / Tile::kThreads;
  static constexpr int kApart =
      Tile::kThreads * kPieceBytes;  // bytes between these, a multiple of eight rows

  __device__ WholeInput(const ConvolutionLaunch& a, const PhaseTaps& taps, const TileRows& rows,
                        const float* slots)
      : a_(a),
        taps_(taps),
        slots_(slots + piece() * kCount),
        changes_(tf32 || changes_input(a)),
        at_(swizzled(row(0), piece())) {
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      rows_[i] = rows.inputs[row(i)];
      input_[i] = static_cast<const T*>(a.input) + static_cast<int64_t>(rows_[i].pixel) * a.shape.in_channels;
    }
    copied_ = changed_ = taps.place(piece() * kCount, a.shape.in_channels);
  }

  // Starts the copies of the next step.
  __device__ void start(unsigned char* stage) {
    const bool there = taps_.has(copied_);
    const int64_t pixels = copied_.t_h * a_.shape.in_size[1] + copied_.t_w;
    const int64_t ahead = pixels * a_.shape.in_channels + copied_.channel;
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      const bool valid = there && inside(a_.shape, rows_[i], copied_);
      copy_async_16(stage + at_ + i * kApart, valid ? input_[i] + ahead : a_.input, valid);
    }
    advance(copied_);
  }

  // Rewrites what this thread copied, of the oldest step that it has not yet done this to.
  __device__ void land(unsigned char* stage) {
    if (!changes_) return;
    if (taps_.has(changed_))
      with_input_activation(a_.activation, [&](auto activation) { rewrite(stage, activation); });
    advance(changed_);
    first_channel_ += a_.step_channels;
    if (first_channel_ >= a_.shape.in_channels) first_channel_ -= a_.shape.in_channels;
  }

  __device__ void store(unsigned char*) {}

 private:
  __device__ static int piece() { return threadIdx.x % kPieces; }
  __device__ static int row(int i) { return threadIdx.x / kPieces + i * (Tile::kThreads / kPieces); }
  __device__ void advance(Place& at) const {
    taps_.advance(at, a_.step_taps, a_.step_channels, a_.shape.in_channels);
  }

  template <class Activation>
  __device__ void rewrite(unsigned char* stage, Activation) const {
    float scale[kCount], shift[kCount];
    if (a_.slots == 1) read_vectors(0, scale, shift);
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      if (!inside(a_.shape, rows_[i], changed_)) continue;
      if (a_.slots != 1) read_vectors(rows_[i].vector, scale, shift);
      T* const at = reinterpret_cast<T*>(stage + at_ + i * kApart);
      Pack<T> x = load_16(at);
#pragma unroll
      for (int e = 0; e < kCount; ++e)
        x.values[e] = operand<T, tf32, Activation::value>(x.values[e], scale[e], shift[e], a_.negative_slope);
      store_16(at, x);
    }
  }

  __device__ void read_vectors(int which, float (&scale)[kCount], float (&shift)[kCount]) const {
#pragma unroll
    for (int part = 0; part < kCount; part += 4) {
      Pack<float> s{{1.0f, 1.0f, 1.0f, 1.0f}}, t{{-0.0f, -0.0f, -0.0f, -0.0f}};
      if (a_.slots > 0) {
        const float* const at = slots_ + which * a_.slot_floats + first_channel_ + part;
        s = load_16(at);
        t = load_16(at + a_.shift_after);
      } else {
        const int64_t row = vector_row(a_, which);
        const int channel = changed_.channel + part;
        if (a_.scale != nullptr) s = load_16(a_.scale + row * a_.scale_stride + channel);
        if (a_.shift != nullptr) t = load_16(a_.shift + row * a_.shift_stride + channel);
      }
      for (int e = 0; e < 4; ++e) {
        scale[part + e] = s.values[e];
        shift[part + e] = t.values[e];
      }
    }
  }

  const ConvolutionLaunch& a_;
  const PhaseTaps& taps_;
  const float* slots_;
  const bool changes_;
  const int at_;
  Row rows_[kMine];
  const T* input_[kMine];
  Place copied_, changed_;
  int first_channel_ = 0;  // of the step's first piece, where copied_ and changed_ are those of this thread's
};

// Reads `count` numbers at a time: 1, or all of a pixel's.
template <class T, bool tf32, class Tile, int count>
class ElementInput {
 public:
  static constexpr int kReads = kRowBytes / (count * sizeof(T));  // of a row
  static constexpr int kApart = Tile::kThreads / kReads;
  static constexpr int kMine = Tile::kRows / kApart;

  __device__ ElementInput(const ConvolutionLaunch& a, const PhaseTaps& taps, const TileRows& rows,
                          const float*)
      : a_(a), taps_(taps), rows_(rows.inputs), read_(read_of(a)), first_row_(first_row_of(a)) {
    at_ = taps.place(read_ * count, a.shape.in_channels);
  }

  // Reads the next step's numbers of this thread to registers: at one place of K, of every kApart-th row.
  __device__ void start(unsigned char*) {
    const T* const input = static_cast<const T*>(a_.input);
    const bool there = taps_.has(at_);
    const int ahead = at_.t_h * a_.shape.in_size[1] + at_.t_w;
    valid_ = 0;
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      const Row row = rows_[first_row_ + i * kApart];
      if (!there || !inside(a_.shape, row, at_)) continue;
      valid_ |= 1u << i;
      const int64_t pixel = row.pixel + ahead;
      x_[i] = load_pack<count>(input + pixel * a_.shape.in_channels + at_.channel);
    }
    if (there) read_vectors(rows_[first_row_].vector, at_.channel);
    taps_.advance(at_, a_.step_taps, a_.step_channels, a_.shape.in_channels);
  }

  __device__ void land(unsigned char*) {}

  // Stores z of what start() read.
  __device__ void store(unsigned char* stage) {
    with_input_activation(a_.activation, [&](auto activation) { store_as(stage, activation); });
  }

 private:
  static constexpr int kInPiece = kPieceBytes / (count * sizeof(T));
  static_assert(Tile::kThreads == 32 * kPieces, "each warp has a piece");

  // Of numbers of pixels shorter than a piece, a warp reads a piece of several rows: rows side by side read
  // much the same few pixels. Else it reads whole rows, where what follows in memory follows in K.
  __device__ static bool by_piece(const ConvolutionLaunch& a) {
    return count == 1 && a.shape.in_channels < kInPiece;
  }
  __device__ static int read_of(const ConvolutionLaunch& a) {
    return by_piece(a) ? threadIdx.x / 32 * kInPiece + threadIdx.x % kInPiece : threadIdx.x % kReads;
  }
  __device__ static int first_row_of(const ConvolutionLaunch& a) {
    return by_piece(a) ? threadIdx.x % 32 / kInPiece : threadIdx.x / kReads;
  }

  template <class Activation>
  __device__ void store_as(unsigned char* stage, Activation) {
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      const int row = first_row_ + i * kApart;
      Pack<T, count> z;
#pragma unroll
      for (int e = 0; e < count; ++e) z.values[e] = rounded<T>(0.0f);
      if (valid_ >> i & 1u) {
        read_vectors(rows_[row].vector, channel_);
#pragma unroll
        for (int e = 0; e < count; ++e)
          z.values[e] = operand<T, tf32, Activation::value>(x_[i].values[e], scale_.values[e],
                                                            shift_.values[e], a_.negative_slope);
      }
      const int at = swizzled(row, read_ / kInPiece) + read_ % kInPiece * static_cast<int>(count * sizeof(T));
      store_pack(reinterpret_cast<T*>(stage + at), z);
    }
  }

  // Unless they are there from the row or the step before.
  __device__ void read_vectors(int image, int channel) {
    if (a_.scale_stride == 0 && a_.shift_stride == 0) image = 0;
    if (image == image_ && channel == channel_) return;
    image_ = image;
    channel_ = channel;
    const int64_t row = vector_row(a_, image);
#pragma unroll
    for (int e = 0; e < count; ++e) {
      scale_.values[e] = 1.0f;
      shift_.values[e] = -0.0f;
    }
    if (a_.scale != nullptr) scale_ = load_pack<count>(a_.scale + row * a_.scale_stride + channel);
    if (a_.shift != nullptr) shift_ = load_pack<count>(a_.shift + row * a_.shift_stride + channel);
  }

  const ConvolutionLaunch& a_;
  const PhaseTaps& taps_;
  const Row* rows_;
  const int read_, first_row_;
  Place at_;
  Pack<T, count> x_[kMine];
  unsigned valid_ = 0;
  int image_ = -1, channel_ = -1;  // whose scale and shift follow
  Pack<float, count> scale_, shift_;
};

// Starts the copies of one step's rows of the packed weight, for the columns from `first` on; what lies
// behind the phase's `depth` numbers of K is not read. The step is one of the phase, `row` that of its first
// column.
template <class T, class Tile>
__device__ inline void start_weight(const ConvolutionLaunch& a, int step, int depth, int64_t row, int first,
                                    unsigned char* stage) {
  constexpr int kCount = kPieceBytes / sizeof(T), kAll = Tile::kColumns * kPieces;
  const int column = threadIdx.x / kPieces, piece = threadIdx.x % kPieces, at = swizzled(column, piece);
  const auto* const weight = static_cast<const unsigned char*>(a.weight);
  const bool there = (step * kPieces + piece) * kCount < depth;
#pragma unroll
  for (int i = 0; i < (kAll + Tile::kThreads - 1) / Tile::kThreads; ++i) {
    if (kAll % Tile::kThreads != 0 && threadIdx.x >= kAll) break;
    const int below = i * (Tile::kThreads / kPieces);
    const bool valid = there && first + column + below < a.shape.out_channels;
    const int64_t from = (row + column + below) * kRowBytes + piece * kPieceBytes;
    copy_async_16(stage + at + below * kRowBytes, weight + (valid ? from : 0), valid);
  }
}

}  // namespace fastgan::cuda
