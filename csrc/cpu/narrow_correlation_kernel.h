// The correlation of affine_act_conv_kernel.h for transposed convolutions 4x4 of stride 2 to a few channels,
// as to an image's colours, where most of a panel would be empty. For sources of one capability, as vector.h
// is.
//
// Here the lanes of a vector are neighbouring pixels, and all outputs of a cell, one of each of the four
// phases in every channel, are summed at once: of three by three inputs each phase takes two by two. Images
// are transformed into planes [channel][y][x] with zeros around them. Sums run over channels in order, kRun
// products at a time; they depend on nothing but the image.
//
// Needs before it: cpu/affine_act_conv_kernel.h and what that needs.

namespace fastgan::cpu {
namespace {

constexpr int64_t kNarrow = 4;  // channels at most

// a0 b0 a1 b1 ... of the first halves, or of the second.
template <bool high, class T, int... i>
inline Vector<T> interleave(Vector<T> a, Vector<T> b, std::integer_sequence<int, i...>) {
  constexpr int kLaneCount = sizeof...(i);
#if defined(__clang__)
  return __builtin_shufflevector(a, b, (i / 2 + i % 2 * kLaneCount + high * kLaneCount / 2)...);
#else
  typedef int Index __attribute__((vector_size(FASTGAN_VECTOR_BYTES)));
  return __builtin_shuffle(a, b, Index{(i / 2 + i % 2 * kLaneCount + high * kLaneCount / 2)...});
#endif
}

// to[c][x] = from[x][c] for a square of lanes.
template <class T>
inline void transpose_square(const T* from, int64_t from_stride, T* to, int64_t to_stride) {
  constexpr int kLaneCount = kLanes<T>;
  constexpr auto kIndex = std::make_integer_sequence<int, kLaneCount>();
  Vector<T> rows[kLaneCount], next[kLaneCount];
#pragma GCC unroll 16
  for (int i = 0; i < kLaneCount; ++i) rows[i] = *reinterpret_cast<const Vector<T>*>(from + i * from_stride);
#pragma GCC unroll 4
  for (int round = 1; round < kLaneCount; round *= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < kLaneCount / 2; ++i) {
      next[2 * i] = interleave<false, T>(rows[i], rows[i + kLaneCount / 2], kIndex);
      next[2 * i + 1] = interleave<true, T>(rows[i], rows[i + kLaneCount / 2], kIndex);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLaneCount; ++i) rows[i] = next[i];
  }
#pragma GCC unroll 16
  for (int i = 0; i < kLaneCount; ++i) *reinterpret_cast<Vector<T>*>(to + i * to_stride) = rows[i];
}

// Vectors of cells that a micro-kernel takes at a time, so that a weight read serves them all.
template <int channels>
constexpr int kCellVectors = FASTGAN_VECTOR_BYTES == 64 && channels < 4 ? 2 : 1;

// sums[vector][phase * channels + channel][lane] (+)= products of `depth` planes from `input` on with weights
// [depth][phase][tap][channels].
template <int channels, int vectors, class T>
__attribute__((noinline)) void multiply_cells(const T* input, int64_t row, int64_t plane, const T* weights,
                                              int64_t depth, bool first, T* sums) {
  Vector<T> total[vectors][4 * channels] = {};
  for (int64_t c = 0; c < depth; ++c, input += plane, weights += 16 * channels) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      const int phase = i / 4, y = phase / 2 + i % 4 / 2, x = phase % 2 + i % 2;
      Vector<T> inputs[vectors];
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) inputs[v] = read_vector(input + y * row + x + v * kLanes<T>);
#pragma GCC unroll 4
      for (int k = 0; k < channels; ++k) {
        const Vector<T> weight = broadcast(weights[i * channels + k]);
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) total[v][phase * channels + k] += inputs[v] * weight;
      }
    }
  }
#pragma GCC unroll 2
  for (int v = 0; v < vectors; ++v) {
#pragma GCC unroll 16
    for (int i = 0; i < 4 * channels; ++i, sums += kLanes<T>) {
      write_vector(sums, first ? total[v][i] : read_vector(sums) + total[v][i]);
    }
  }
}

template <class T>
class NarrowCorrelation {
 public:
  NarrowCorrelation(const Convolution& shape, int64_t images, const PackedWeight& weight)
      : shape_(shape),
        images_(images),
        rows_((shape.out_size[0] + 1) / 2),
        columns_((shape.out_size[1] + 1) / 2),
        low_{axis_phases(shape, 0)[0].offset, axis_phases(shape, 1)[0].offset},
        row_((columns_ + 2 * kLanes<T> - 1) / (2 * kLanes<T>)*2 * kLanes<T> + kLanes<T>),
        channels_((shape.in_channels + kLanes<T> - 1) / kLanes<T> * kLanes<T>),
        weights_(static_cast<size_t>(shape.in_channels * 16 * shape.out_channels)) {
    const T* const from = static_cast<const T*>(weight.data);
    for (int64_t i = 0; i < 16; ++i) {
      for (int64_t c = 0; c < shape.in_channels; ++c) {
        for (int64_t k = 0; k < shape.out_channels; ++k) {
          weights_[(c * 16 + i) * shape.out_channels + k] = from[(i * shape.in_channels + c) * kPanel + k];
        }
      }
    }
  }

  // As Correlation::run, but calls finish.row(image, y, first x, count, sums) for neighbouring outputs, sums
  // [count][channel] of all channels.
  template <class Rows, class Finish>
  void run(ParallelFor pool, const Rows& rows, const Finish& finish) const {
    parallel_for(pool, images_, /*grain=*/1, [&](int64_t begin, int64_t end) {
      const int64_t size = channels_ * plane_size(), line_size = (shape_.in_size[1] + kLanes<T>)*channels_;
      const Scratch memory(static_cast<size_t>(size + line_size) * sizeof(T));
      T *const planes = memory.as<T>(), *const line = planes + size;
      std::fill(planes, planes + size + line_size, T(0));
      for (int64_t image = begin; image < end; ++image) {
        load(rows, image, line, planes);
        switch (shape_.out_channels) {
          case 1:
            run_image<1>(image, planes, finish);
            break;
          case 2:
            run_image<2>(image, planes, finish);
            break;
          case 3:
            run_image<3>(image, planes, finish);
            break;
          default:
            run_image<4>(image, planes, finish);
        }
        finish.panel(0, image, image + 1);
      }
    });
  }

 private:
  int64_t plane_size() const { return (rows_ + 2) * row_; }

  // Zeros around the image stay from image to image; behind a row's last square there may be others, which no
  // output reads.
  template <class Rows>
  void load(const Rows& rows, int64_t image, T* line, T* planes) const {
    const int64_t first_x = std::max<int64_t>(0, low_[1]);
    const int64_t count = std::min(shape_.in_size[1], low_[1] + columns_ + 2) - first_x;
    for (int64_t y = 0; count > 0 && y < rows_ + 2; ++y) {
      const int64_t from_y = y + low_[0];
      if (from_y < 0 || from_y >= shape_.in_size[0]) continue;
      rows.read(image, from_y, first_x, count, line);
      std::fill(line + count * shape_.in_channels, line + (count + kLanes<T>)*shape_.in_channels, T(0));
      for (int64_t x = 0; x < count; x += kLanes<T>) {
        for (int64_t c = 0; c < shape_.in_channels; c += kLanes<T>) {
          transpose_square(line + x * shape_.in_channels + c, shape_.in_channels,
                           planes + c * plane_size() + y * row_ + first_x - low_[1] + x, plane_size());
        }
      }
    }
  }

  template <int channels, class Finish>
  void run_image(int64_t image, const T* planes, const Finish& finish) const {
    if (columns_ <= kLanes<T>) {
      run_cells<channels, 1>(image, planes, finish);
    } else {
      run_cells<channels, kCellVectors<channels>>(image, planes, finish);
    }
  }

  template <int channels, int vectors, class Finish>
  void run_cells(int64_t image, const T* planes, const Finish& finish) const {
    const int64_t depth = kRun / 4;
    constexpr int64_t kCells = vectors * kLanes<T>;
    alignas(64) T cells[4 * channels * kCells];
    for (int64_t y = 0; y < rows_; ++y) {
      for (int64_t x = 0; x < columns_; x += kCells) {
        const T* const input = planes + y * row_ + x;
        for (int64_t c = 0; c < shape_.in_channels; c += depth) {
          multiply_cells<channels, vectors>(input + c * plane_size(), row_, plane_size(),
                                            weights_.data() + c * 16 * channels,
                                            std::min(depth, shape_.in_channels - c), c == 0, cells);
        }
        finish_cells<channels>(image, y, x, std::min(kCells, columns_ - x), cells, finish);
      }
    }
  }

  template <int channels, class Finish>
  void finish_cells(int64_t image, int64_t y, int64_t x, int64_t cell_count, const T* cells,
                    const Finish& finish) const {
    for (; cell_count > 0; cell_count -= kLanes<T>, x += kLanes<T>, cells += 4 * channels * kLanes<T>) {
      const int64_t count = std::min<int64_t>(2 * kLanes<T>, shape_.out_size[1] - 2 * x);
      for (int64_t i = 0; i < std::min<int64_t>(2, shape_.out_size[0] - 2 * y); ++i) {
        T row[2 * kLanes<T> * channels];
        interleave_phases<channels>(cells + 2 * i * channels * kLanes<T>, row);
        finish.row(image, 2 * y + i, 2 * x, count, row);
      }
    }
  }

  // Outputs of a row's two phases, [phase][channel][cell], to pixels [2 * cell + phase][channel].
  template <int channels>
  static void interleave_phases(const T* cells, T* row) {
    for (int phase = 0; phase < 2; ++phase) {
      for (int k = 0; k < channels; ++k, cells += kLanes<T>) {
        for (int j = 0; j < kLanes<T>; ++j) row[(2 * j + phase) * channels + k] = cells[j];
      }
    }
  }

  Convolution shape_;
  int64_t images_, rows_, columns_, low_[2], row_, channels_;
  std::vector<T> weights_;  // [in channel][phase][tap][out channel]
};

// By the shape: where rows are long enough to nearly fill a vector. The phases' inputs are as multiply_cells
// has them where the padding is odd.
template <class T>
bool narrow_wins(const Convolution& shape) {
  for (int axis = 0; axis < 2; ++axis) {
    if (shape.kernel[axis] != 4 || shape.stride[axis] != 2 || shape.padding[axis] % 2 == 0) return false;
  }
  return shape.transposed && shape.out_channels >= 1 && shape.out_channels <= kNarrow &&
         shape.in_channels >= 8 && shape.in_size[0] >= 2 && shape.in_size[1] >= 2 &&
         2 * shape.out_size[1] >= 3 * kLanes<T>;
}

}  // namespace
}  // namespace fastgan::cpu
