// The weight gradient of affine_act_conv. For sources of one capability.
//
// dw[s, l, ky, kx] is the sum over images and pixels (i, j) of small[s, i, j] * large[l, i * stride - padding
// + ky, ...]: of a convolution the small map is dy and the large one z, of a transposed convolution the other
// way round. Both are written, transformed, into panels of channels, chunk by chunk of images; then each tile
// of kSmall x kLarge channels takes the outer products of its pixels, tap by tap. Taps outside the image are
// left out by the bounds of the loops. One tile belongs to one thread, and the chunks are a function of the
// shape.
//
// Needs before it: <algorithm>, <vector>, cpu/affine_act_conv.h, cpu/feature_rows.h, cpu/vector.h,
// cpu/minimal_weight_grad_kernel.h, cpu/patch_weight_grad_kernel.h.

namespace fastgan::cpu {
namespace {

// Channels of the small map in a panel: vectors.
template <class T>
constexpr int64_t kSmall = std::max<int64_t>(16, 2 * kLanes<T>);

constexpr int64_t kLarge = 6;                     // of the large map: a number each
constexpr int64_t kChunkBytes = 4 * 1024 * 1024;  // of both maps' panels
constexpr int64_t kRunPixels = 256;               // pixels that are summed before they are added to the rest

// Images of a map as [panel][image][pixel][lane], zeros in the lanes of a panel that has fewer channels.
template <class T, int64_t lanes>
class Panels {
 public:
  Panels(int64_t channels, int64_t height, int64_t width, int64_t images)
      : channels_(channels),
        height_(height),
        width_(width),
        images_(images),
        data_(static_cast<size_t>(count() * images * height * width * lanes), T(0)) {}

  int64_t count() const { return (channels_ + lanes - 1) / lanes; }
  const T* image(int64_t panel, int64_t image) const { return data_.data() + offset(panel, image); }

  // Image `source` of `rows` becomes image `image`; `row` is scratch for one row.
  template <class Rows>
  void load(const Rows& rows, int64_t source, int64_t image, T* row) {
    for (int64_t y = 0; y < height_; ++y) {
      rows.read(source, y, 0, width_, row);
      for (int64_t panel = 0; panel < count(); ++panel) {
        const int64_t used = std::min(lanes, channels_ - panel * lanes);
        T* const to = data_.data() + offset(panel, image) + y * width_ * lanes;
        const T* const from = row + panel * lanes;
        for (int64_t x = 0; x < width_; ++x) {
          if (used == lanes) {
            for (int64_t k = 0; k < lanes; ++k) to[x * lanes + k] = from[x * channels_ + k];
          } else {
            for (int64_t k = 0; k < used; ++k) to[x * lanes + k] = from[x * channels_ + k];
          }
        }
      }
    }
  }

 private:
  int64_t offset(int64_t panel, int64_t image) const {
    return (panel * images_ + image) * height_ * width_ * lanes;
  }

  int64_t channels_, height_, width_, images_;
  std::vector<T> data_;
};

// A tile's sum over some rows of pixels: one row is `count` pixels of `small` and as many, `step` apart, of
// `large`.
template <class T>
struct PixelRow {
  const T *small, *large;
};

template <class T>
__attribute__((noinline)) void outer_products(const PixelRow<T>* rows, int64_t row_count, int64_t count,
                                              int64_t step, T* tile) {
  // Half a panel at a time where a whole one does not fit into the registers.
  constexpr int kVectors = 2;
  for (int64_t part = 0; part < kSmall<T>; part += kVectors * kLanes<T>) {
    Vector<T> total[kLarge][kVectors] = {};
    for (int64_t r = 0; r < row_count; ++r) {
      const T *small = rows[r].small + part, *large = rows[r].large;
      for (int64_t i = 0; i < count; ++i, small += kSmall<T>, large += step) {
        Vector<T> s[kVectors];
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; ++v) s[v] = *reinterpret_cast<const Vector<T>*>(small + v * kLanes<T>);
#pragma GCC unroll 8
        for (int k = 0; k < kLarge; ++k) {
          const Vector<T> l = broadcast(large[k]);
#pragma GCC unroll 8
          for (int v = 0; v < kVectors; ++v) total[k][v] += l * s[v];
        }
      }
    }
    for (int k = 0; k < kLarge; ++k) {
      for (int v = 0; v < kVectors; ++v) {
        *reinterpret_cast<Vector<T>*>(tile + k * kSmall<T> + part + v * kLanes<T>) += total[k][v];
      }
    }
  }
}

// Pixels of the small map along one axis whose tap `tap` is inside the large one: [first, last).
struct Inside {
  int64_t first, last;
};

inline Inside inside(const Convolution& shape, int axis, int64_t tap, int64_t small, int64_t large) {
  const int64_t stride = shape.stride[axis], low = shape.padding[axis] - tap;  // low <= i * stride
  const int64_t first = low > 0 ? (low + stride - 1) / stride : 0;
  const int64_t above = large + low;  // i * stride < above
  const int64_t last = above > 0 ? (above + stride - 1) / stride : 0;
  return {first, std::max(first, std::min(small, last))};
}

template <class T>
class WeightGrad {
 public:
  WeightGrad(const Convolution& shape, int64_t images)
      : shape_(shape),
        small_channels_(shape.transposed ? shape.in_channels : shape.out_channels),
        large_channels_(shape.transposed ? shape.out_channels : shape.in_channels),
        small_size_(shape.transposed ? shape_.in_size : shape_.out_size),
        large_size_(shape.transposed ? shape_.out_size : shape_.in_size),
        images_(images),
        chunk_(chunk()),
        small_(small_channels_, small_size_[0], small_size_[1], chunk_),
        large_(large_channels_, large_size_[0], large_size_[1], chunk_),
        tiles_(static_cast<size_t>(small_.count() * large_.count() * shape.taps() * kTile), T(0)) {}

  template <class Small, class Large>
  void run(ParallelFor pool, const Small& small, const Large& large) {
    for (int64_t first = 0; first < images_; first += chunk_) {
      const int64_t count = std::min(chunk_, images_ - first);
      parallel_for(pool, count, /*grain=*/1, [&](int64_t begin, int64_t end) {
        std::vector<T> row(static_cast<size_t>(
            std::max(small_size_[1] * small_channels_, large_size_[1] * large_channels_)));
        for (int64_t i = begin; i < end; ++i) {
          small_.load(small, first + i, i, row.data());
          large_.load(large, first + i, i, row.data());
        }
      });
      parallel_for(pool, small_.count() * large_.count(), /*grain=*/1, [&](int64_t begin, int64_t end) {
        for (int64_t item = begin; item < end; ++item) add_chunk(item, count);
      });
    }
  }

  // To [small channel][large channel][tap].
  template <class In>
  void store(ParallelFor pool, In* out) const {
    parallel_for(pool, small_channels_, /*grain=*/1, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) {
        for (int64_t l = 0; l < large_channels_; ++l) {
          const int64_t item = s / kSmall<T> * large_.count() + l / kLarge;
          const T* const tile =
              tiles_.data() + item * shape_.taps() * kTile + l % kLarge * kSmall<T> + s % kSmall<T>;
          In* const to = out + (s * large_channels_ + l) * shape_.taps();
          for (int64_t tap = 0; tap < shape_.taps(); ++tap) to[tap] = Rounded<In>::from(tile[tap * kTile]);
        }
      }
    });
  }

 private:
  static constexpr int64_t kTile = kSmall<T> * kLarge;

  int64_t chunk() const {
    const int64_t numbers =
        small_channels_ * small_size_[0] * small_size_[1] + large_channels_ * large_size_[0] * large_size_[1];
    const int64_t bytes = std::max<int64_t>(1, numbers * static_cast<int64_t>(sizeof(T)));
    return std::clamp<int64_t>(kChunkBytes / bytes, 1, std::max<int64_t>(1, images_));
  }

  // Runs of rows outermost: their part of both panels stays in the first-level cache for all taps.
  void add_chunk(int64_t item, int64_t images) {
    const int64_t height = small_size_[0], width = small_size_[1];
    const int64_t rows_per_run = std::max<int64_t>(1, kRunPixels / std::max<int64_t>(1, width));
    std::vector<PixelRow<T>> rows(static_cast<size_t>(rows_per_run));
    T* const tiles = tiles_.data() + item * shape_.taps() * kTile;
    for (int64_t first = 0; first < images * height; first += rows_per_run) {
      const int64_t last = std::min(first + rows_per_run, images * height);
      for (int64_t ky = 0; ky < shape_.kernel[0]; ++ky) {
        for (int64_t kx = 0; kx < shape_.kernel[1]; ++kx) {
          add_tap(item, first, last, ky, kx, rows.data(), tiles + (ky * shape_.kernel[1] + kx) * kTile);
        }
      }
    }
  }

  void add_tap(int64_t item, int64_t first, int64_t last, int64_t ky, int64_t kx, PixelRow<T>* rows,
               T* tile) const {
    const int64_t height = small_size_[0], width = small_size_[1];
    const Inside y = inside(shape_, 0, ky, height, large_size_[0]);
    const Inside x = inside(shape_, 1, kx, width, large_size_[1]);
    int64_t used = 0;
    for (int64_t row = first; row < last; ++row) {
      const int64_t image = row / height, i = row % height;
      if (i < y.first || i >= y.last) continue;
      const int64_t large_y = i * shape_.stride[0] - shape_.padding[0] + ky;
      const int64_t large_x = x.first * shape_.stride[1] - shape_.padding[1] + kx;
      rows[used].small = small_.image(item / large_.count(), image) + (i * width + x.first) * kSmall<T>;
      rows[used].large =
          large_.image(item % large_.count(), image) + (large_y * large_size_[1] + large_x) * kLarge;
      ++used;
    }
    if (used > 0 && x.last > x.first) {
      outer_products(rows, used, x.last - x.first, shape_.stride[1] * kLarge, tile);
    }
  }

  Convolution shape_;
  int64_t small_channels_, large_channels_;
  const int64_t *small_size_, *large_size_;
  int64_t images_, chunk_;
  Panels<T, kSmall<T>> small_;
  Panels<T, kLarge> large_;
  std::vector<T> tiles_;  // [small panel][large panel][tap][kLarge][kSmall<T>]
};

void run_weight_grad(const AffineActConvWeightGradArguments& a, ParallelFor pool) {
  with_types(a.type, [&](auto types) {
    using In = typename decltype(types)::In;
    using T = typename decltype(types)::T;
    const ActivatedRows<In, T> input(a.input, a.affine, a.shape.in_channels);
    const GradientRows<In, T> gradient(a.gradient, a.shape.out_channels);
    In* const out = static_cast<In*>(a.d_weight);
    if constexpr (std::is_same_v<T, float> && FASTGAN_VECTOR_BYTES >= 32) {
      const auto done = [&](auto&& grad) {
        return a.shape.transposed ? grad.run(pool, input, gradient, out)
                                  : grad.run(pool, gradient, input, out);
      };
      const Convolution to_small = a.shape.transposed ? a.shape.backward() : a.shape;
      const int64_t side = minimal_weight_grad_tile(a.shape, a.images);
      if (side == 4) {
        if (done(MinimalWeightGrad<T, Quads>(a.shape, a.images))) return;
      } else if (side == 2) {
        if (done(MinimalWeightGrad<T, Pairs>(a.shape, a.images))) return;
      } else if (Patches<T>::fit(to_small)) {
        if (done(PatchWeightGrad<T>(to_small, a.images))) return;
      }
    }
    WeightGrad<T> grad(a.shape, a.images);
    if (a.shape.transposed) {
      grad.run(pool, input, gradient);
    } else {
      grad.run(pool, gradient, input);
    }
    grad.store(pool, out);
  });
}

}  // namespace
}  // namespace fastgan::cpu
