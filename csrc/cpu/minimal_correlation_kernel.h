// The correlation of affine_act_conv_kernel.h for kernels 4x4 of stride 2 by the minimal algorithms F(2x2,
// 2x2) and F(4x4, 2x2): 9 and 6.25 multiplications where the direct sum has 16. For sources of one
// capability, as vector.h is.
//
// Both convolutions are made of 2x2 correlations of stride 1: the transposed one has four of them, one per
// phase of its outputs; the other is the sum of four, one per phase of its inputs. A tile of 2x2 outputs of
// one takes nine products, of 4x4 outputs 25, of transformed inputs and transformed taps: see
// minimal_transforms.h. All tiles at once, each product is a product of matrices: of a plane [tile][channel]
// and a matrix [channel][output]. The former are made a slab at a time, some channels of a phase, that stays
// in the second-level cache for all outputs; the latter from the direct kernel's packing as they are used. So
// one packing serves every algorithm, few images cost no more memory traffic than with the direct one, and
// nothing is prepared per call.
//
// Sums are of at most kDepth channels before they are added to the rest: rounding errors stay near those of
// the direct sum. A tile's sums depend on nothing but its image. No output sees an input that is not its own,
// but differences of large numbers may overflow, and of infinite ones are undefined where the direct sum is
// infinite: blocks of tiles whose outputs are not all finite are summed again directly.
//
// Needs before it: cpu/affine_act_conv_kernel.h, cpu/minimal_transforms.h, cpu/tile_products.h,
// cpu/pair_weights.h, cpu/quad_weights.h and what they need.

namespace fastgan::cpu {
namespace {

constexpr int64_t kSlabBytes = 512 * 1024;

// How one axis is cut into tiles: of phase q, tile t reads inputs low + t * step + shift[q] + j * apart,
// j < Tile::kInputs.
template <class Tile>
struct TileAxis {
  int64_t tiles, low, step, apart;
  int64_t shift[2];

  // Inputs that `count` neighbouring tiles span.
  int64_t extent(int64_t count) const {
    return (count - 1) * step + std::max(shift[0], shift[1]) + (Tile::kInputs - 1) * apart + 1;
  }
};

template <class Tile>
TileAxis<Tile> tile_axis(const Convolution& shape, int axis) {
  constexpr int64_t kOutputs = Tile::kOutputs;
  const std::vector<AxisPhase> phases = axis_phases(shape, axis);
  const auto tiles = [](int64_t outputs) { return (outputs + kOutputs - 1) / kOutputs; };
  if (!shape.transposed) return {tiles(phases[0].count), phases[0].offset, 2 * kOutputs, 2, {0, 1}};
  const int64_t low = std::min(phases[0].offset, phases[1].offset);
  const int64_t most = std::max(phases[0].count, phases[1].count);
  return {tiles(most), low, kOutputs, 1, {phases[0].offset - low, phases[1].offset - low}};
}

template <class T, template <class> class TileOf>
class MinimalCorrelation {
 public:
  MinimalCorrelation(const Convolution& shape, int64_t images, const PackedWeight& weight)
      : shape_(shape),
        direct_(shape, images, weight),
        weights_(static_cast<const T*>(weight.data)),
        y_(tile_axis<Tile>(shape, 0)),
        x_(tile_axis<Tile>(shape, 1)),
        images_(images),
        blocks_((shape.in_channels + kDepth - 1) / kDepth) {
    // A group is some images, or one in bands of rows of tiles.
    const int64_t tiles = std::max<int64_t>(1, y_.tiles * x_.tiles);
    const int64_t most = std::clamp<int64_t>(images_at_once(shape), 1, std::max<int64_t>(1, images));
    groups_ = (images + most - 1) / most;
    most_images_ = groups_ == 0 ? 0 : (images + groups_ - 1) / groups_;
    bands_ = std::min(y_.tiles, (tiles + kBandTiles - 1) / kBandTiles);
    band_rows_ = bands_ == 0 ? 0 : (y_.tiles + bands_ - 1) / bands_;
    most_tiles_ = most_images_ * band_rows_ * x_.tiles;
    const int64_t block_bytes = kPlanes * plane_size() * static_cast<int64_t>(sizeof(T));
    const int64_t slabs = (blocks_ * block_bytes + kSlabBytes - 1) / kSlabBytes;
    slab_blocks_ = std::max<int64_t>(1, (blocks_ + slabs - 1) / std::max<int64_t>(1, slabs));
    keeps_products_ = !shape.transposed || slab_blocks_ < blocks_;
  }

  // As Correlation::run.
  template <class Rows, class Finish>
  void run(ParallelFor pool, const Rows& rows, const Finish& finish) const {
    const int64_t wide_count = (panel_count() + kTilePanels - 1) / kTilePanels;
    parallel_for(pool, groups_ * wide_count, /*grain=*/1, [&](int64_t begin, int64_t end) {
      Work work(*this, std::min(end - begin, wide_count));
      for (int64_t next; begin < end; begin = next) {
        const int64_t group = begin / wide_count;
        next = std::min(end, (group + 1) * wide_count);
        work.first = group * images_ / groups_;
        work.last = (group + 1) * images_ / groups_;
        work.first_panel = begin % wide_count * kTilePanels;
        work.last_panel = std::min(((next - 1) % wide_count + 1) * kTilePanels, panel_count());
        for (int64_t band = 0; band < bands_; ++band) run_band(rows, band, work, finish);
        for (int64_t p = work.first_panel; p < work.last_panel; ++p) finish.panel(p, work.first, work.last);
      }
    });
  }

 private:
  using Tile = TileOf<T>;
  static constexpr int64_t kTilePanels = kTile<T> / kPanel;
  static constexpr bool kQuads = Tile::kOutputs == 4;
  static constexpr int64_t kPlanes = kProducts<Tile>;
  static constexpr int kSquare = Tile::kOutputs * Tile::kOutputs;  // outputs of a tile
  static constexpr int64_t kBandTiles = kQuads ? 64 : 128;         // of one image, worked on at a time
  static constexpr int64_t kChunkTiles = kQuads ? 64 : 48;         // finished at a time
  static constexpr int64_t kBlockTiles = kBlock / kSquare;
  using Weights = std::conditional_t<kQuads, QuadWeights<T>, PairWeights<T>>;

  // What a thread works on, and in.
  struct Work {
    Work(const MinimalCorrelation& c, int64_t wide_count)
        : image_size(c.y_.extent(c.band_rows_) * c.row_size()),
          memory(static_cast<size_t>(c.slab_blocks_ * c.block_size() + Weights::kSize +
                                     (c.keeps_products_ ? wide_count : 1) * c.products_size() +
                                     c.most_images_ * image_size + kLanes<T>) *
                 sizeof(T)) {
      inputs = memory.as<T>();
      taps = inputs + c.slab_blocks_ * c.block_size();
      products = taps + Weights::kSize;
      images = products + (c.keeps_products_ ? wide_count : 1) * c.products_size();
    }

    int64_t first, last;  // images
    int64_t first_panel, last_panel;
    int64_t first_row, row_count;  // of tiles
    int64_t image_size;
    Scratch memory;
    T* inputs;    // [block of channels][product][tile][kDepth]
    T* taps;      // what is formed of a block of weights
    T* products;  // [wide panel][product][tile][kTile]
    T* images;    // padded, [image][y][x][channel]
    typename Correlation<T>::LoadedImage loaded;
  };

  // Some input channels of a phase of a panel: what weights are transformed by.
  struct Block {
    int64_t panel;
    int phase;
    int64_t index;
  };

  int64_t row_size() const { return x_.extent(x_.tiles) * shape_.in_channels; }
  // A line more than the tiles: planes would otherwise share the lines of the first-level cache.
  int64_t plane_size() const { return most_tiles_ * kDepth + 16; }
  int64_t product_plane() const { return most_tiles_ * kTile<T> + 16; }
  int64_t block_size() const { return kPlanes * plane_size(); }
  int64_t products_size() const { return kPlanes * product_plane(); }
  int64_t panel_count() const { return panels(shape_.out_channels); }
  int64_t panel_size() const { return shape_.taps() * shape_.in_channels * kPanel; }
  int64_t depth(int64_t block) const { return std::min(kDepth, shape_.in_channels - block * kDepth); }

  template <class Rows, class Finish>
  void run_band(const Rows& rows, int64_t band, Work& work, const Finish& finish) const {
    work.first_row = band * y_.tiles / bands_;
    work.row_count = (band + 1) * y_.tiles / bands_ - work.first_row;
    load(rows, work);
    for (int phase = 0; phase < 4; ++phase) {
      for (int64_t first = 0; first < blocks_; first += slab_blocks_) {
        const int64_t last = std::min(first + slab_blocks_, blocks_);
        make_slab(phase, first, last, work);
        for (int64_t panel = work.first_panel; panel < work.last_panel; panel += kTilePanels) {
          if (shape_.out_channels - panel * kPanel > kLanes<T>) {
            run_slab<2>(rows, panel, phase, first, last, work, finish);
          } else {
            run_slab<1>(rows, panel, phase, first, last, work, finish);
          }
        }
      }
    }
  }

  template <class Rows>
  void load(const Rows& rows, Work& work) const {
    const int64_t width = x_.extent(x_.tiles), low = y_.low + work.first_row * y_.step;
    const int64_t first_x = std::max<int64_t>(0, x_.low);
    const int64_t last_x = std::max(first_x, std::min(shape_.in_size[1], x_.low + width));
    const int64_t before = (first_x - x_.low) * shape_.in_channels;
    const int64_t after = (x_.low + width - last_x) * shape_.in_channels;
    for (int64_t image = work.first; image < work.last; ++image) {
      T* row = work.images + (image - work.first) * work.image_size;
      for (int64_t y = low; y < low + y_.extent(work.row_count); ++y, row += row_size()) {
        if (y < 0 || y >= shape_.in_size[0] || first_x == last_x) {
          std::fill(row, row + row_size(), T(0));
        } else {
          std::fill(row, row + before, T(0));
          rows.read(image, y, first_x, last_x - first_x, row + before);
          std::fill(row + row_size() - after, row + row_size(), T(0));
        }
      }
    }
  }

  // Calls use(index among the band's tiles, image, row, column), rows from the image's first.
  template <class F>
  void each_tile(const Work& work, int64_t begin, int64_t end, const F& use) const {
    const int64_t tiles = work.row_count * x_.tiles;
    int64_t image = begin / tiles, row = begin % tiles / x_.tiles, column = begin % x_.tiles;
    for (int64_t t = begin; t < end; ++t) {
      use(t, work.first + image, work.first_row + row, column);
      if (++column < x_.tiles) continue;
      column = 0;
      if (++row < work.row_count) continue;
      row = 0;
      ++image;
    }
  }

  void make_slab(int phase, int64_t first_block, int64_t last_block, Work& work) const {
    const int64_t row = y_.apart * row_size(), column = x_.apart * shape_.in_channels, plane = plane_size();
    const int64_t shift = y_.shift[phase / 2] * row_size() + x_.shift[phase % 2] * shape_.in_channels;
    each_tile(work, 0, tile_count(work), [&](int64_t t, int64_t image, int64_t y, int64_t x) {
      const T* const from = work.images + (image - work.first) * work.image_size + shift +
                            (y - work.first_row) * y_.step * row_size() + x * x_.step * shape_.in_channels;
      for (int64_t block = first_block; block < last_block; ++block) {
        T* const to = work.inputs + (block - first_block) * block_size() + t * kDepth;
        for (int64_t c = 0; c < depth(block); c += kLanes<T>) {
          cpu::transform_inputs<Tile>(from + block * kDepth + c, row, column, plane, to + c);
        }
      }
    });
  }

  // The packed order of taps is that of the transposed convolution's phases, else of the kernel.
  int64_t tap_size() const { return shape_.in_channels * kPanel; }
  int64_t down() const { return (shape_.transposed ? 2 : 8) * tap_size(); }
  int64_t right() const { return (shape_.transposed ? 1 : 2) * tap_size(); }
  const T* weights_of(const Block& at, int64_t panel) const {
    const int64_t first_tap = shape_.transposed ? 4 * at.phase : 4 * (at.phase / 2) + at.phase % 2;
    return weights_ + panel * panel_size() + first_tap * tap_size() + at.index * kDepth * kPanel;
  }

  // The block whose weights are used after those of `at`, the last of a slab of one; itself at the end.
  Block after(const Block& at, int64_t first_block, int64_t last_block, const Work& work) const {
    if (at.index + 1 < last_block) return {at.panel, at.phase, at.index + 1};
    if (at.panel + kTilePanels < work.last_panel) return {at.panel + kTilePanels, at.phase, first_block};
    if (last_block < blocks_) return {work.first_panel, at.phase, last_block};
    if (at.phase < 3) return {work.first_panel, at.phase + 1, 0};
    return at;
  }

  // Fetches a part of a block's weights, one of kPlanes: while products are formed memory is idle.
  void prefetch(const Block& block, int64_t part) const {
    const int64_t first = part * depth(block.index) / kPlanes;
    const int64_t last = (part + 1) * depth(block.index) / kPlanes;
    for (int64_t p = block.panel; p < std::min(block.panel + kTilePanels, panel_count()); ++p) {
      const T* const from = weights_of(block, p);
      for (const int64_t tap : {int64_t{0}, right(), down(), down() + right()}) {
        for (int64_t i = first; i < last; ++i) __builtin_prefetch(from + tap + i * kPanel, 0, 2);
      }
    }
  }

  int64_t tile_count(const Work& work) const { return (work.last - work.first) * work.row_count * x_.tiles; }

  template <int vectors, class Rows, class Finish>
  void run_slab(const Rows& rows, int64_t panel, int phase, int64_t first_block, int64_t last_block,
                Work& work, const Finish& finish) const {
    const int64_t tiles = tile_count(work);
    T* const products =
        work.products + (keeps_products_ ? (panel - work.first_panel) / kTilePanels * products_size() : 0);
    for (int64_t index = first_block; index < last_block; ++index) {
      const Block block{panel, phase, index}, next = after(block, first_block, last_block, work);
      const T* const inputs = work.inputs + (index - first_block) * block_size();
      const bool fresh = index == 0 && (shape_.transposed || phase == 0);
      if (index + 1 < blocks_ || !(shape_.transposed || phase == 3)) {
        multiply<vectors>(inputs, 0, tiles, block, fresh, next, products, work.taps);
        continue;
      }
      // The last products of some tiles, then their outputs, which are on their way to memory while the
      // next products are formed.
      const Phase& outputs = direct_.phase(shape_.transposed ? phase : 0);
      for (int64_t begin = 0, end; begin < tiles; begin = end) {
        end = chunk_end(begin, work);
        multiply<vectors>(inputs, begin, end, block, fresh, next, products, work.taps);
        finish_tiles<vectors>(rows, outputs, panel, begin, end, products, work, finish);
      }
    }
  }

  // Of whole images, or of a part of one that does not depend on the others: see finish_tiles.
  int64_t chunk_end(int64_t begin, const Work& work) const {
    const int64_t tiles = work.row_count * x_.tiles;
    if (tiles > kChunkTiles) return std::min(begin + kChunkTiles, (begin / tiles + 1) * tiles);
    return std::min(begin + kChunkTiles / tiles * tiles, tile_count(work));
  }

  // The products of tiles [begin, end) with a block of weights.
  template <int vectors>
  void multiply(const T* inputs, int64_t begin, int64_t end, const Block& block, bool fresh,
                const Block& next, T* products, T* taps) const {
    inputs += begin * kDepth;
    products += begin * kTile<T>;
    if constexpr (kQuads) {
      if (end - begin == 1) return multiply_one<vectors>(inputs, block, fresh, next, products);
    }
    Weights weights(square_taps(block), depth(block.index), taps);
    weights.template prepare<vectors>();
    for (int64_t p = 0; p < kPlanes; ++p) {
      if (begin == 0) prefetch(next, p);
      weights.template multiply<vectors>(p, inputs + p * plane_size(), end - begin, fresh,
                                         products + p * product_plane());
    }
  }

  // The same for a single tile of quads.
  template <int vectors>
  void multiply_one(const T* inputs, const Block& block, bool fresh, const Block& next, T* products) const {
    const SquareTaps<T> taps = square_taps(block);
    const int64_t calls = (depth(block.index) + kQuadDepth - 1) / kQuadDepth * Tile::kInputs;
    int64_t call = 0;
    each_quad_sum(depth(block.index), [&](int64_t first, int64_t count) {
      for (int64_t x = 0; x < Tile::kInputs; ++x, ++call) {
        for (int64_t p = call * kPlanes / calls; p < (call + 1) * kPlanes / calls; ++p) prefetch(next, p);
        with_constant<Tile::kInputs>(x, [&](auto column) {
          multiply_quad<decltype(column)::value, vectors>(inputs + first, plane_size(),
                                                          taps.from_channel(first), count,
                                                          fresh && first == 0, products, product_plane());
        });
      }
    });
  }

  SquareTaps<T> square_taps(const Block& block) const {
    return {weights_of(block, block.panel), down(), right(), panel_size()};
  }

  // Outputs of tiles [begin, end) from their products, at most kBlockTiles of one image at a time: the same
  // blocks in every image, since all outputs of a block are summed directly if one is not finite.
  template <int vectors, class Rows, class Finish>
  void finish_tiles(const Rows& rows, const Phase& phase, int64_t panel, int64_t begin, int64_t end,
                    const T* products, Work& work, const Finish& finish) const {
    Pixel pixels[kBlock];
    alignas(64) T sums[kBlock * kTile<T>];
    const int64_t tiles = work.row_count * x_.tiles;
    for (int64_t next; begin < end; begin = next) {
      next = std::min({begin + kBlockTiles, (begin / tiles + 1) * tiles, end});
      int64_t count = 0;
      Vector<T> zero = {};
      each_tile(work, begin, next, [&](int64_t t, int64_t image, int64_t row, int64_t column) {
        T* to[kSquare];
        T unused[kTile<T>];
        const int64_t first_y = Tile::kOutputs * row, first_x = Tile::kOutputs * column;
        const int64_t output = direct_.pixel(phase, image, first_y, first_x).output;
        for (int64_t i = 0; i < kSquare; ++i) {
          const int64_t y = i / Tile::kOutputs, x = i % Tile::kOutputs;
          const bool inside = first_y + y < phase.y.count && first_x + x < phase.x.count;
          to[i] = inside ? sums + count * kTile<T> : unused;
          if (inside) {
            const int64_t at = output + y * phase.y.step * shape_.out_size[1] + x * phase.x.step;
            pixels[count++] = {image, first_y + y, first_x + x, 0, at};
          }
        }
        zero += outputs_of<vectors>(products + t * kTile<T>, to);
      });
      if (count == 0) continue;
      if (!is_zero(zero)) {
        for (int64_t i = 0; i < count; ++i)
          pixels[i] = direct_.pixel(phase, pixels[i].image, pixels[i].y, pixels[i].x);
        direct_.sum(rows, phase, panel, pixels, count, work.loaded, sums);
      }
      for (int64_t p = panel; p < std::min(panel + kTilePanels, panel_count()); ++p) {
        finish.pixels(p, pixels, count, sums + (p - panel) * kPanel);
      }
    }
  }

  // A tile's outputs; returns 0 times them, which is not 0 where one is not finite.
  template <int vectors>
  Vector<T> outputs_of(const T* from, T* const (&to)[kSquare]) const {
    Vector<T> zero = {};
#pragma GCC unroll 2
    for (int64_t v = 0; v < vectors * kLanes<T>; v += kLanes<T>) {
      Vector<T> out[kSquare];
      transform_products<Tile>(from + v, product_plane(), out);
#pragma GCC unroll 16
      for (int i = 0; i < kSquare; ++i) {
        write_vector(to[i] + v, out[i]);
        zero += out[i] * T(0);
      }
    }
    return zero;
  }

  static bool is_zero(Vector<T> value) {
    bool zero = true;
    for (int i = 0; i < kLanes<T>; ++i) zero &= value[i] == T(0);
    return zero;
  }

  Convolution shape_;
  Correlation<T> direct_;
  const T* weights_;
  TileAxis<Tile> y_, x_;
  int64_t images_, blocks_, groups_, most_images_, bands_, band_rows_, most_tiles_, slab_blocks_;
  bool keeps_products_;
};

}  // namespace
}  // namespace fastgan::cpu
