// The correlation that both convolutions are, per output phase: transformed rows in, panels of sums out. For
// sources of one capability, as vector.h is.
//
// A work item is (group of images, tile of output channels), a tile being a panel or, for wide vectors, two.
// Its images' rows are written, transformed, into a zero-padded NHWC scratch, so that taps need no bounds;
// then every output is one sum over (tap, channel) in an order that depends on the shape alone. Neither the
// grouping, nor a tail, nor threads change a bit.
//
// Needs before it: <algorithm>, <cstring>, <vector>, cpu/affine_act_conv.h, cpu/scratch.h,
// cpu/feature_rows.h, cpu/vector.h.

namespace fastgan::cpu {
namespace {

constexpr int64_t kScratchBytes = 512 * 1024;  // half of a usual second-level cache
constexpr int64_t kRun = 256;                  // products that are summed before they are added to the rest
constexpr int64_t kBlock = 96;                 // outputs worked on at a time, a multiple of every kPixels

// Outputs a micro-kernel keeps in registers: up to 12 vectors of sums, enough to hide the latency of FMA and
// to leave room for the operands among 16 registers.
template <int vectors>
constexpr int kPixels = vectors == 1   ? 8
                        : vectors == 2 ? 6
                        : vectors == 4 ? 2
                                       : 1;

// Output channels that a micro-kernel takes at a time: two vectors of 64 bytes are two panels.
template <class T>
constexpr int64_t kTile = std::max<int64_t>(kPanel, 2 * kLanes<T>);

// One output pixel: where it is, where its first tap is in the scratch.
struct Pixel {
  int64_t image, y, x;  // y, x: within the phase
  int64_t input;        // offset of the input that tap 0 reads
  int64_t output;       // index among N * H * W
};

// A run of products: `rows` rows of `length` consecutive inputs each, and as many rows of weights in each
// panel.
struct Run {
  int64_t rows, length, row_stride, panel_size;
};

// sums[pixel][kTile] (+)= inputs of the pixel times weights [panel][rows * length][kPanel], the first
// `vectors` vectors of the tile.
template <int vectors, class T>
__attribute__((noinline)) void multiply(const T* const* inputs, const Run& run, const T* weights, bool first,
                                        T* sums) {
  constexpr int pixels = kPixels<vectors>;
  Vector<T> total[pixels][vectors] = {};
  for (int64_t row = 0; row < run.rows; ++row) {
    const T* input[pixels];
    for (int p = 0; p < pixels; ++p) input[p] = inputs[p] + row * run.row_stride;
    for (int64_t i = 0; i < run.length; ++i, weights += kPanel) {
      Vector<T> weight[vectors];
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v)
        weight[v] = *reinterpret_cast<const Vector<T>*>(weights + v * kLanes<T> / kPanel * run.panel_size +
                                                        v * kLanes<T> % kPanel);
#pragma GCC unroll 8
      for (int p = 0; p < pixels; ++p) {
        const Vector<T> x = broadcast(input[p][i]);
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v) total[p][v] += x * weight[v];
      }
    }
  }
  for (int p = 0; p < pixels; ++p) {
    for (int v = 0; v < vectors; ++v) {
      auto* const to = reinterpret_cast<Vector<T>*>(sums + p * kTile<T> + v * kLanes<T>);
      *to = first ? total[p][v] : *to + total[p][v];
    }
  }
}

template <class T>
class Correlation {
 public:
  Correlation(const Convolution& shape, int64_t images, const PackedWeight& weight)
      : shape_(shape),
        phases_(phases(shape)),
        weight_(weight),
        panel_size_(phase_taps(shape) * shape.in_channels * kPanel),
        height_(input_extent(shape, 0)),
        width_(input_extent(shape, 1)),
        images_(images) {
    if (height_.count == 0 || width_.count == 0) height_ = width_ = {0, 0};
    image_size_ = height_.count * width_.count * shape.in_channels;
    const int64_t bytes = std::max<int64_t>(1, image_size_ * static_cast<int64_t>(sizeof(T)));
    const int64_t most = std::clamp<int64_t>(kScratchBytes / bytes, 1, std::max<int64_t>(1, images));
    groups_ = (images + most - 1) / most;
  }

  // Calls finish.pixels(panel, pixels, count, sums) for outputs of a panel, sums [count][kTile]; and
  // finish.panel(panel, first image, image after) when all of theirs are done. A panel of an image is
  // never worked on by two threads; its outputs come phase by phase, in order.
  template <class Rows, class Finish>
  void run(ParallelFor pool, const Rows& rows, const Finish& finish) const {
    const int64_t tile_count = (panel_count() + kTilePanels - 1) / kTilePanels;
    if (shape_.out_pixels() == 0) return;
    parallel_for(pool, groups_ * tile_count, /*grain=*/1, [&](int64_t begin, int64_t end) {
      const int64_t size = most_images() * image_size_;
      const Scratch memory(static_cast<size_t>(size) * sizeof(T));
      T* const scratch = memory.as<T>();
      std::fill(scratch, scratch + size, T(0));
      int64_t loaded = -1;
      for (int64_t item = begin; item < end; ++item) {
        const int64_t group = item / tile_count, panel = item % tile_count * kTilePanels;
        const int64_t first = first_image(group), last = first_image(group + 1);
        if (loaded != group) {
          for (int64_t image = first; image < last; ++image) {
            load(rows, image, scratch + (image - first) * image_size_);
          }
        }
        loaded = group;
        for (const Phase& phase : phases_) run_phase(phase, panel, first, last, scratch, finish);
        for (int64_t each = panel; each < last_panel(panel); ++each) finish.panel(each, first, last);
      }
    });
  }

  // For another algorithm that cannot do some outputs: their sums, one block of one image at a time.
  const Phase& phase(int64_t index) const { return phases_[index]; }

  Pixel pixel(const Phase& phase, int64_t image, int64_t y, int64_t x) const {
    Pixel next{image, y, x, 0, 0};
    return placed(phase, image, next);
  }

  // An image as `sum` reads it.
  struct LoadedImage {
    int64_t image = -1;
    std::vector<T> scratch;
  };

  // pixels: kBlock places, `count` of them taken, all of one image; sums [kBlock][kTile].
  template <class Rows>
  void sum(const Rows& rows, const Phase& phase, int64_t panel, Pixel* pixels, int64_t count,
           LoadedImage& loaded, T* sums) const {
    if (count == 0) return;
    if (loaded.image != pixels->image) {
      loaded.scratch.assign(static_cast<size_t>(image_size_), T(0));
      loaded.image = pixels->image;
      load(rows, loaded.image, loaded.scratch.data());
    }
    sum_pixels(phase, panel, pixels, count, loaded.scratch.data(), sums);
  }

 private:
  static constexpr int64_t kTilePanels = kTile<T> / kPanel;

  int64_t panel_count() const { return panels(shape_.out_channels); }
  int64_t last_panel(int64_t first) const { return std::min(first + kTilePanels, panel_count()); }
  int64_t first_image(int64_t group) const { return group * images_ / groups_; }
  int64_t most_images() const { return (images_ + groups_ - 1) / groups_; }

  // The image into its scratch; the zeros around it stay from image to image.
  template <class Rows>
  void load(const Rows& rows, int64_t image, T* scratch) const {
    const int64_t first_x = std::max<int64_t>(0, width_.low);
    const int64_t count = std::min(shape_.in_size[1], width_.low + width_.count) - first_x;
    const int64_t first_y = std::max<int64_t>(0, height_.low);
    const int64_t last_y = std::min(shape_.in_size[0], height_.low + height_.count);
    for (int64_t y = first_y; count > 0 && y < last_y; ++y) {
      T* const row = scratch + ((y - height_.low) * width_.count + first_x - width_.low) * shape_.in_channels;
      rows.read(image, y, first_x, count, row);
    }
  }

  template <class Finish>
  void run_phase(const Phase& phase, int64_t panel, int64_t first, int64_t last, const T* scratch,
                 const Finish& finish) const {
    Pixel pixels[kBlock], next{first, 0, 0, 0, 0};
    alignas(64) T sums[kBlock * kTile<T>];
    const int64_t total = (last - first) * phase.y.count * phase.x.count;
    for (int64_t done = 0; done < total; done += kBlock) {
      const int64_t count = std::min(kBlock, total - done);
      for (int64_t i = 0; i < count; ++i) pixels[i] = placed(phase, first, next);
      sum_pixels(phase, panel, pixels, count, scratch, sums);
      for (int64_t each = panel; each < last_panel(panel); ++each) {
        finish.pixels(each, pixels, count, sums + (each - panel) * kPanel);
      }
    }
  }

  // `next` with its addresses; moves `next` on.
  Pixel placed(const Phase& phase, int64_t first, Pixel& next) const {
    Pixel pixel = next;
    const int64_t y = pixel.y * phase.y.in_step + phase.y.offset - height_.low;
    const int64_t x = pixel.x * phase.x.in_step + phase.x.offset - width_.low;
    pixel.input = (pixel.image - first) * image_size_ + (y * width_.count + x) * shape_.in_channels;
    pixel.output =
        (pixel.image * shape_.out_size[0] + phase.y.first + pixel.y * phase.y.step) * shape_.out_size[1] +
        phase.x.first + pixel.x * phase.x.step;
    if (++next.x == phase.x.count) {
      next.x = 0;
      if (++next.y == phase.y.count) {
        next.y = 0;
        ++next.image;
      }
    }
    return pixel;
  }

  // The sums of `count` of kBlock places for pixels; a tail repeats the last one.
  void sum_pixels(const Phase& phase, int64_t panel, Pixel* pixels, int64_t count, const T* scratch,
                  T* sums) const {
    const T* const weights = static_cast<const T*>(weight_.data) + panel * panel_size_ +
                             phase.first_tap * shape_.in_channels * kPanel;
    for (int64_t i = count; i < kBlock; ++i) pixels[i] = pixels[count - 1];
    if (phase.y.taps * phase.x.taps * shape_.in_channels == 0) {
      std::memset(sums, 0, kBlock * kTile<T> * sizeof(T));
    } else if (weight_.finite) {
      sum_block(phase, panel, pixels, count, scratch, weights, sums);
    } else {
      for (int64_t each = panel; each < last_panel(panel); ++each) {
        for (int64_t i = 0; i < count; ++i) {
          sum_inside(phase, pixels[i], scratch, weights + (each - panel) * panel_size_,
                     sums + i * kTile<T> + (each - panel) * kPanel);
        }
      }
    }
  }

  void sum_block(const Phase& phase, int64_t panel, const Pixel* pixels, int64_t count, const T* scratch,
                 const T* weights, T* sums) const {
    constexpr int kFull = kTile<T> / kLanes<T>;
    const int64_t used = std::min(kTile<T>, shape_.out_channels - panel * kPanel);
    const int64_t vectors = (used + kLanes<T> - 1) / kLanes<T>;
    if (vectors == 1) return sum_runs<1>(phase, pixels, count, scratch, weights, sums);
    if (kFull > 2 && vectors == 2) return sum_runs<2>(phase, pixels, count, scratch, weights, sums);
    return sum_runs<kFull>(phase, pixels, count, scratch, weights, sums);
  }

  // Runs outermost: a run's weights stay in the first-level cache for all pixels of the block.
  template <int vectors>
  void sum_runs(const Phase& phase, const Pixel* pixels, int64_t count, const T* scratch, const T* weights,
                T* sums) const {
    const int64_t row = phase.x.taps * shape_.in_channels, stride = width_.count * shape_.in_channels;
    const int64_t parts = (row + kRun - 1) / kRun, part = (row + parts - 1) / parts;
    const int64_t rows = std::max<int64_t>(1, kRun / row);
    bool first = true;
    for (int64_t y = 0; y < phase.y.taps; y += rows) {
      for (int64_t x = 0; x < row; x += part) {
        const Run run{std::min(rows, phase.y.taps - y), std::min(part, row - x), stride, panel_size_};
        for (int64_t i = 0; i < count; i += kPixels<vectors>) {
          const T* inputs[kPixels<vectors>];
          for (int p = 0; p < kPixels<vectors>; ++p)
            inputs[p] = scratch + pixels[i + p].input + y * stride + x;
          multiply<vectors>(inputs, run, weights, first, sums + i * kTile<T>);
        }
        weights += run.rows * run.length * kPanel;
        first = false;
      }
    }
  }

  // The same with taps outside the image left out, for weights that zero times would not make zero.
  void sum_inside(const Phase& phase, const Pixel& pixel, const T* scratch, const T* weights, T* sums) const {
    std::fill(sums, sums + kPanel, T(0));
    for (int64_t y = 0; y < phase.y.taps; ++y) {
      const int64_t at_y = pixel.y * phase.y.in_step + phase.y.offset + y;
      for (int64_t x = 0; x < phase.x.taps; ++x, weights += shape_.in_channels * kPanel) {
        const int64_t at_x = pixel.x * phase.x.in_step + phase.x.offset + x;
        if (at_y < 0 || at_y >= shape_.in_size[0] || at_x < 0 || at_x >= shape_.in_size[1]) continue;
        const T* const input = scratch + pixel.input + (y * width_.count + x) * shape_.in_channels;
        for (int64_t c = 0; c < shape_.in_channels; ++c) {
          for (int64_t k = 0; k < kPanel; ++k) sums[k] += input[c] * weights[c * kPanel + k];
        }
      }
    }
  }

  Convolution shape_;
  std::vector<Phase> phases_;
  PackedWeight weight_;
  int64_t panel_size_;
  Extent height_, width_;
  int64_t images_, image_size_, groups_;
};

}  // namespace
}  // namespace fastgan::cpu
