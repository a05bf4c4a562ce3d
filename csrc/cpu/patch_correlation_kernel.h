// The correlation of affine_act_conv_kernel.h for plain convolutions of few channels, as of an image's
// colours: a product of matrices, of patches and weights. For sources of one capability, as vector.h is.
//
// Sums are those of the direct kernel, in its order.
//
// Needs before it: cpu/affine_act_conv_kernel.h, cpu/minimal_correlation_kernel.h, cpu/patches.h and what
// they need.

namespace fastgan::cpu {
namespace {

static_assert(kPatch == kDepth, "patches are what multiply_plane reads");

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
    Pixel pixels[kBlock];
    patches_.load(rows, image, work.padded);
    for (int64_t y = 0; y < shape_.out_size[0]; ++y) {
      for (int64_t x = 0; x < shape_.out_size[1]; x += kBlock) {
        const int64_t count = std::min(kBlock, shape_.out_size[1] - x);
        const int64_t output = (image * shape_.out_size[0] + y) * shape_.out_size[1] + x;
        for (int64_t i = 0; i < count; ++i) pixels[i] = {image, y, x + i, 0, output + i};
        patches_.make(work.padded, y, x, count, work.patches);
        for (int64_t panel = first; panel < last; panel += kTilePanels) {
          if (shape_.out_channels - panel * kPanel > kLanes<T>) {
            multiply<2>(panel, count, work);
          } else {
            multiply<1>(panel, count, work);
          }
          for (int64_t p = panel; p < std::min(panel + kTilePanels, last); ++p) {
            finish.pixels(p, pixels, count, work.sums + (p - panel) * kPanel);
          }
        }
      }
    }
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
