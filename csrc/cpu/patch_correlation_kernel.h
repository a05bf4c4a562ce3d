// The correlation of affine_act_conv_kernel.h for plain convolutions of few channels, as of an image's
// colours: a product of matrices, of patches and weights. For sources of one capability, as vector.h is.
//
// Sums are those of the direct kernel, in its order. Where the result is only stored it goes from the
// registers to its place: these layers write far more than they read.
//
// Needs before it: cpu/affine_act_conv_kernel.h, cpu/tile_products.h, cpu/patches.h and what they need.

namespace fastgan::cpu {
namespace {

static_assert(kPatch == kDepth, "patches are what multiply_plane reads");

// to[pixel][lane] = patches [pixel][kPatch] times weights [length][kTile<T>], whose second vector is `apart`
// on, plus bias.
template <int rows, class T>
__attribute__((noinline)) void store_patches(const T* patches, const T* weights, int64_t apart,
                                             int64_t length, const T* bias, T* to, int64_t stride) {
  constexpr int kVectors = 2;
  Vector<T> total[rows][kVectors] = {};
  for (int64_t i = 0; i < length; ++i, weights += kPanel) {
    Vector<T> weight[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) weight[v] = read_vector(weights + v * apart);
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
      const Vector<T> x = broadcast(patches[r * kPatch + i]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) total[r][v] += x * weight[v];
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r, to += stride) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      write_vector(to + v * kLanes<T>, total[r][v] + read_vector(bias + v * kLanes<T>));
    }
  }
}

template <class T>
class PatchCorrelation {
 public:
  PatchCorrelation(const Convolution& shape, int64_t images, const PackedWeight& weight)
      : shape_(shape), patches_(shape), images_(images), weights_(static_cast<const T*>(weight.data)) {}

  // As Correlation::run.
  template <class Rows, class Finish>
  void run(ParallelFor pool, const Rows& rows, const Finish& finish) const {
    const int64_t panel_count = panels(shape_.out_channels);
    const int64_t wide_count = (panel_count + kTilePanels - 1) / kTilePanels;
    parallel_for(pool, images_ * wide_count, /*grain=*/1, [&](int64_t begin, int64_t end) {
      const int64_t size = patches_.padded_size();
      const Scratch memory(static_cast<size_t>(kBlock * (kPatch + kTile<T>)+size) * sizeof(T));
      const Work work{memory.as<T>(), memory.as<T>() + kBlock * kPatch,
                      memory.as<T>() + kBlock * (kPatch + kTile<T>)};
      std::fill(work.padded, work.padded + size, T(0));
      for (int64_t next; begin < end; begin = next) {
        const int64_t image = begin / wide_count;
        next = std::min(end, (image + 1) * wide_count);
        const int64_t first = begin % wide_count * kTilePanels;
        const int64_t last = std::min(((next - 1) % wide_count + 1) * kTilePanels, panel_count);
        run_image(rows, image, first, last, work, finish);
        for (int64_t panel = first; panel < last; ++panel) finish.panel(panel, image, image + 1);
      }
    });
  }

 private:
  static constexpr int64_t kTilePanels = kTile<T> / kPanel;

  struct Work {
    T* patches;  // [pixel][kPatch]
    T* sums;     // [pixel][kTile]
    T* padded;
  };

  template <class Rows, class Finish>
  void run_image(const Rows& rows, int64_t image, int64_t first, int64_t last, const Work& work,
                 const Finish& finish) const {
    patches_.load(rows, image, work.padded);
    for (int64_t start = 0; start < shape_.out_pixels(); start += kBlock) {
      const int64_t count = std::min(kBlock, shape_.out_pixels() - start);
      const int64_t output = image * shape_.out_pixels() + start;
      make_patches(start, count, work);
      for (int64_t panel = first; panel < last; panel += kTilePanels) {
        const int64_t channels = shape_.out_channels - panel * kPanel;
        if constexpr (Finish::kStores) {
          if (channels >= kTile<T>) {
            store(panel, count, work, finish.bias(panel), finish.output(panel, output));
            continue;
          }
        }
        if (channels > kLanes<T>) {
          multiply<2>(panel, count, work);
        } else {
          multiply<1>(panel, count, work);
        }
        Pixel pixels[kBlock];
        for (int64_t i = 0; i < count; ++i) pixels[i] = {image, 0, 0, 0, output + i};
        for (int64_t p = panel; p < std::min(panel + kTilePanels, last); ++p) {
          finish.pixels(p, pixels, count, work.sums + (p - panel) * kPanel);
        }
      }
    }
  }

  // Of outputs start .. start + count - 1 of the image at hand.
  void make_patches(int64_t start, int64_t count, const Work& work) const {
    const int64_t width = shape_.out_size[1];
    for (int64_t done = 0, next; done < count; done = next) {
      const int64_t x = (start + done) % width;
      next = std::min(count, done + width - x);
      patches_.make(work.padded, (start + done) / width, x, next - done, work.patches + done * kPatch);
    }
  }

  void store(int64_t panel, int64_t count, const Work& work, const T* bias, T* to) const {
    const int64_t size = patches_.length() * kPanel;
    const int64_t apart = kLanes<T> / kPanel * size + kLanes<T> % kPanel;
    const T* patches = work.patches;
    const auto take = [&](auto rows) {
      constexpr int kCount = decltype(rows)::value;
      for (; count >= kCount; count -= kCount) {
        store_patches<kCount>(patches, weights_ + panel * size, apart, patches_.length(), bias, to,
                              shape_.out_channels);
        patches += kCount * kPatch;
        to += kCount * shape_.out_channels;
      }
    };
    take(std::integral_constant<int, kRows>());
    take(std::integral_constant<int, 4>());
    take(std::integral_constant<int, 1>());
  }

  template <int vectors>
  void multiply(int64_t panel, int64_t count, const Work& work) const {
    const int64_t size = patches_.length() * kPanel;
    const Taps<T> weights{{weights_ + panel * size}, size};
    multiply_plane<vectors, 1>(work.patches, count, weights, patches_.length(), true, work.sums);
  }

  Convolution shape_;
  Patches<T> patches_;
  int64_t images_;
  const T* weights_;
};

}  // namespace
}  // namespace fastgan::cpu
