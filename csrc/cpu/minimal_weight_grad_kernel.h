// The weight gradient of affine_act_conv_weight_grad_kernel.h for kernels 4x4 of stride 2 by the minimal
// algorithm F(2x2, 2x2). For sources of one capability, as vector.h is.
//
// The large map's four phases are 2x2 correlations with the small map: along one axis, of a tile of two
// pixels f0, f1 of the small map and three, d0, d1, d2, of a phase of the large one,
//   m0 = (d0 - d1) f0,  m1 = d1 (f0 + f1),  m2 = (d1 - d2) f1,   dw0 = m0 + m1,  dw1 = m1 - m2.
// The nine products of a tile and phase are outer products over channels and are summed over all tiles before
// they become four taps: 9 multiplications where the direct sum has 16. Maps are transformed, chunk by chunk
// of rows of tiles, into planes of panels of channels; then a piece of the gradient, some channels of both
// maps, belongs to one thread, and runs of tiles are summed before they are added to the rest. Where a sum is
// not finite all is done again directly, since infinite numbers spread over their tile.
//
// Needs before it: <atomic>, <memory>, cpu/affine_act_conv.h, cpu/minimal_transforms.h and what the direct
// kernel needs.

namespace fastgan::cpu {
namespace {

// Channels of the small map in a piece: two vectors.
template <class T>
constexpr int64_t kWide = 2 * kLanes<T>;

constexpr int64_t kLargeBlock = 16;                   // channels of the large map in a piece
constexpr int64_t kPlaneBytes = 1024 * 1024;          // of a chunk's planes at least, and
constexpr int64_t kMostPlaneBytes = 8 * kPlaneBytes;  // at most
constexpr int64_t kRunTiles = 64;                     // summed before they are added to the rest

// sums[row][kWide<T>] += large [tile][kLargeBlock] times small [tile][kWide<T>] for some rows.
template <int rows, class T>
__attribute__((noinline)) void multiply_outer(const T* large, const T* small, int64_t tiles, bool first,
                                              T* sums) {
  constexpr int kVectors = 2;
  Vector<T> total[rows][kVectors] = {};
  for (int64_t t = 0; t < tiles; ++t, large += kLargeBlock, small += kWide<T>) {
    Vector<T> s[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) s[v] = *reinterpret_cast<const Vector<T>*>(small + v * kLanes<T>);
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const Vector<T> x = broadcast(large[r]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) total[r][v] += x * s[v];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      auto* const to = reinterpret_cast<Vector<T>*>(sums + r * kWide<T> + v * kLanes<T>);
      *to = first ? total[r][v] : *to + total[r][v];
    }
  }
}

// As WeightGrad, for vectors of at most kLargeBlock numbers.
template <class T>
class MinimalWeightGrad {
 public:
  MinimalWeightGrad(const Convolution& shape, int64_t images)
      : shape_(shape),
        small_channels_(shape.transposed ? shape.in_channels : shape.out_channels),
        large_channels_(shape.transposed ? shape.out_channels : shape.in_channels),
        small_size_(shape.transposed ? shape_.in_size : shape_.out_size),
        large_size_(shape.transposed ? shape_.out_size : shape_.in_size),
        tiles_y_((small_size_[0] + 1) / 2),
        tiles_x_((small_size_[1] + 1) / 2),
        rows_(images * tiles_y_) {
    const int64_t channels =
        4 * kProducts * large_blocks() * kLargeBlock + kProducts * small_panels() * kWide<T>;
    const int64_t bytes = channels * tiles_x_ * static_cast<int64_t>(sizeof(T));
    // Every chunk adds to the whole gradient: its planes are as much memory.
    const int64_t gradient =
        small_channels_ * large_channels_ * shape.taps() * static_cast<int64_t>(sizeof(T));
    const int64_t chunk = std::clamp(gradient, kPlaneBytes, kMostPlaneBytes);
    const int64_t most = std::clamp<int64_t>(chunk / bytes, 1, std::max<int64_t>(1, rows_));
    chunks_ = (rows_ + most - 1) / most;
    plane_tiles_ = chunks_ == 0 ? 0 : (rows_ + chunks_ - 1) / chunks_ * tiles_x_;
    memory_.reset(new T[static_cast<size_t>(channels * plane_tiles_ + kLanes<T>)]);
    const uintptr_t start = reinterpret_cast<uintptr_t>(memory_.get()) + FASTGAN_VECTOR_BYTES - 1;
    large_ = reinterpret_cast<T*>(start / FASTGAN_VECTOR_BYTES * FASTGAN_VECTOR_BYTES);
    small_ = large_ + 4 * kProducts * large_blocks() * kLargeBlock * plane_tiles_;
    if (chunks_ > 1)
      pieces_.reset(new T[static_cast<size_t>(small_panels() * large_blocks() * 4 * 4 * kPiece)]);
  }

  // To [small channel][large channel][tap]. False if not all is finite: then `out` is not to be used.
  template <class Small, class Large, class In>
  bool run(ParallelFor pool, const Small& small, const Large& large, In* out) {
    if (rows_ == 0) std::fill(out, out + small_channels_ * large_channels_ * 16, Rounded<In>::from(T(0)));
    std::atomic<bool> finite{true};
    for (int64_t chunk = 0; chunk < chunks_; ++chunk) {
      const int64_t first = chunk * rows_ / chunks_, last = (chunk + 1) * rows_ / chunks_;
      parallel_for(pool, last - first, /*grain=*/1, [&](int64_t begin, int64_t end) {
        std::vector<T> scratch(static_cast<size_t>(6 * large_row() + 2 * small_row() + kLanes<T>));
        for (int64_t row = begin; row < end; ++row) {
          load(small, large, first + row, row * tiles_x_, scratch.data());
        }
      });
      parallel_for(pool, small_panels() * large_blocks(), /*grain=*/1, [&](int64_t begin, int64_t end) {
        const std::unique_ptr<T[]> memory(new T[(kProducts + 16) * kPiece]);
        T* const sums = memory.get();
        for (int64_t index = begin; index < end; ++index) {
          const Piece piece = piece_at(index);
          T* const taps = chunks_ == 1 ? sums + kProducts * kPiece : pieces_.get() + index * 16 * kPiece;
          for (int phase = 0; phase < 4; ++phase) {
            add_phase(piece, phase, (last - first) * tiles_x_, chunk == 0, sums, taps);
          }
          if (chunk == chunks_ - 1 && !store(piece, taps, out)) finite = false;
        }
      });
    }
    return finite;
  }

 private:
  static constexpr int64_t kPiece = kLargeBlock * kWide<T>;

  int64_t small_panels() const { return (small_channels_ + kWide<T> - 1) / kWide<T>; }
  int64_t large_blocks() const { return (large_channels_ + kLargeBlock - 1) / kLargeBlock; }
  // Some channels of both maps. Two blocks of the large map, the heavier, stay in the second-level cache
  // while all panels of the small one pass.
  struct Piece {
    int64_t panel, block;
  };

  Piece piece_at(int64_t index) const {
    const int64_t width = large_blocks() % 2 == 0 ? 2 : 1, group = small_panels() * width;
    return {index % group / width, index / group * width + index % width};
  }

  int64_t small_row() const { return 2 * tiles_x_ * small_channels_; }
  int64_t large_row() const { return (4 * tiles_x_ + 2) * large_channels_; }

  // A row of a map with zeros around it: x from `low` on.
  template <class Rows>
  static void read_padded(const Rows& rows, int64_t image, int64_t y, int64_t low, int64_t count,
                          const int64_t* size, int64_t channels, T* row) {
    const int64_t first = std::clamp<int64_t>(0, low, low + count);
    const int64_t last = std::clamp<int64_t>(size[1], first, low + count);
    if (y < 0 || y >= size[0] || first == last) {
      std::fill(row, row + count * channels, T(0));
      return;
    }
    std::fill(row, row + (first - low) * channels, T(0));
    rows.read(image, y, first, last - first, row + (first - low) * channels);
    std::fill(row + (last - low) * channels, row + count * channels, T(0));
  }

  // A row of tiles into the planes, from place `at` on.
  template <class Small, class Large>
  void load(const Small& small, const Large& large, int64_t row, int64_t at, T* scratch) const {
    const int64_t image = row / tiles_y_, y = row % tiles_y_;
    T* const small_rows = scratch + 6 * large_row();
    for (int64_t i = 0; i < 6; ++i) {
      read_padded(large, image, 4 * y + i - shape_.padding[0], -shape_.padding[1], 4 * tiles_x_ + 2,
                  large_size_, large_channels_, scratch + i * large_row());
    }
    for (int64_t i = 0; i < 2; ++i) {
      read_padded(small, image, 2 * y + i, 0, 2 * tiles_x_, small_size_, small_channels_,
                  small_rows + i * small_row());
    }
    for (int64_t x = 0; x < tiles_x_; ++x) {
      for (int64_t c = 0; c < large_channels_; c += kLanes<T>) {
        T* const to = large_ + (c / kLargeBlock * 4 * kProducts * plane_tiles_ + at + x) * kLargeBlock +
                      c % kLargeBlock;
        const T* const from = scratch + 4 * x * large_channels_ + c;
        for (int phase = 0; phase < 4; ++phase) {
          transform_inputs(from + phase / 2 * large_row() + phase % 2 * large_channels_, 2 * large_row(),
                           2 * large_channels_, plane_tiles_ * kLargeBlock,
                           to + phase * kProducts * plane_tiles_ * kLargeBlock);
        }
      }
      for (int64_t c = 0; c < small_channels_; c += kLanes<T>) {
        T* const to = small_ + (c / kWide<T> * kProducts * plane_tiles_ + at + x) * kWide<T> + c % kWide<T>;
        transform_taps(small_rows + 2 * x * small_channels_ + c, small_row(), small_channels_,
                       plane_tiles_ * kWide<T>, to);
      }
    }
  }

  // The products of all tiles of the chunk, then the phase's four taps.
  void add_phase(const Piece& piece, int phase, int64_t tiles, bool fresh, T* sums, T* taps) const {
    const T* const small = small_ + piece.panel * kProducts * plane_tiles_ * kWide<T>;
    const T* const large = large_ + (piece.block * 4 + phase) * kProducts * plane_tiles_ * kLargeBlock;
    for (int64_t first = 0; first < tiles; first += kRunTiles) {
      const int64_t count = std::min(kRunTiles, tiles - first);
      for (int64_t p = 0; p < kProducts; ++p) {
        const T* const l = large + (p * plane_tiles_ + first) * kLargeBlock;
        const T* const s = small + (p * plane_tiles_ + first) * kWide<T>;
        T* const to = sums + p * kPiece;
        if constexpr (FASTGAN_VECTOR_BYTES == 64) {
          multiply_outer<8>(l, s, count, first == 0, to);
          multiply_outer<8>(l + 8, s, count, first == 0, to + 8 * kWide<T>);
        } else {
          multiply_outer<6>(l, s, count, first == 0, to);
          multiply_outer<6>(l + 6, s, count, first == 0, to + 6 * kWide<T>);
          multiply_outer<4>(l + 12, s, count, first == 0, to + 12 * kWide<T>);
        }
      }
    }
    taps += (4 * (phase / 2) + phase % 2) * kPiece;
    for (int64_t i = 0; i < kPiece; i += kLanes<T>) {
      Vector<T> tap[4];
      transform_products(sums + i, kPiece, tap);
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        T* const to = taps + (8 * (k / 2) + 2 * (k % 2)) * kPiece + i;
        write_vector(to, fresh ? tap[k] : read_vector(to) + tap[k]);
      }
    }
  }

  template <class In>
  bool store(const Piece& piece, const T* taps, In* out) const {
    const int64_t small = std::min(kWide<T>, small_channels_ - piece.panel * kWide<T>);
    const int64_t large = std::min(kLargeBlock, large_channels_ - piece.block * kLargeBlock);
    T zero = 0;
    for (int64_t l = 0; l < large; ++l) {
      In* to = out + (piece.panel * kWide<T> * large_channels_ + piece.block * kLargeBlock + l) * 16;
      for (int64_t s = 0; s < small; ++s, to += large_channels_ * 16) {
        const T* const from = taps + l * kWide<T> + s;
        for (int64_t tap = 0; tap < 16; ++tap) to[tap] = Rounded<In>::from(from[tap * kPiece]);
        for (int64_t tap = 0; tap < 16; ++tap) zero += from[tap * kPiece] * T(0);
      }
    }
    return zero == T(0);
  }

  Convolution shape_;
  int64_t small_channels_, large_channels_;
  const int64_t *small_size_, *large_size_;
  int64_t tiles_y_, tiles_x_, rows_, chunks_, plane_tiles_;
  std::unique_ptr<T[]> memory_, pieces_;
  T* large_;  // [block][phase][product][tile][kLargeBlock]
  T* small_;  // [panel][product][tile][kWide<T>]
              // pieces_: [piece][tap][kLargeBlock][kWide<T>]
};

// Whether it is the faster one, by the shape: as minimal_wins of the correlations.
inline bool minimal_weight_grad_wins(const Convolution& shape) {
  const int64_t* const small = shape.transposed ? shape.in_size : shape.out_size;
  for (int axis = 0; axis < 2; ++axis) {
    if (shape.kernel[axis] != 4 || shape.stride[axis] != 2) return false;
  }
  if (shape.in_channels < 32 || shape.out_channels < 32) return false;
  const int64_t products = (small[0] + 1) / 2 * ((small[1] + 1) / 2) * 4 * kProducts;
  return 5 * products <= 4 * small[0] * small[1] * 16;
}

}  // namespace
}  // namespace fastgan::cpu
