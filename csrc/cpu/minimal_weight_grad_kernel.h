// The weight gradient of affine_act_conv_weight_grad_kernel.h for kernels 4x4 of stride 2 by the minimal
// algorithms of minimal_transforms.h. For sources of one capability, as vector.h is.
//
// The large map's four phases are 2x2 correlations with the small map. The products of a tile of the small
// map and a phase, nine for 2x2 pixels and 25 for 4x4, are outer products over channels and are summed over a
// chunk of tiles before they become four taps: 9 and 6.25 multiplications where the direct sum has 16. A
// thread has the gradient of some channels of the large map, with all or some of the small one, to itself,
// and transforms for it what it reads, chunk by chunk of rows of tiles, into planes of panels of channels.
// Threads need not wait for each other, which costs more than the transforms that several of them do. Runs of
// tiles are summed before they are added to the rest. Where a sum is not finite all is done again directly,
// since infinite numbers spread over their tile.
//
// Needs before it: <atomic>, <memory>, cpu/affine_act_conv.h, cpu/scratch.h, cpu/minimal_transforms.h and
// what the direct kernel needs.

namespace fastgan::cpu {
namespace {

// Channels of the small map in a piece: two vectors.
template <class T>
constexpr int64_t kWide = 2 * kLanes<T>;

constexpr int64_t kLargeBlock = 16;  // channels of the large map in a piece
constexpr int64_t kRunTiles = 64;    // summed before they are added to the rest
constexpr int64_t kItems = 32;       // for threads to share

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
template <class T, template <class> class TileOf>
class MinimalWeightGrad {
  using Tile = TileOf<T>;

 public:
  MinimalWeightGrad(const Convolution& shape, int64_t images)
      : shape_(shape),
        small_channels_(shape.transposed ? shape.in_channels : shape.out_channels),
        large_channels_(shape.transposed ? shape.out_channels : shape.in_channels),
        small_size_(shape.transposed ? shape_.in_size : shape_.out_size),
        large_size_(shape.transposed ? shape_.out_size : shape_.in_size),
        tiles_y_((small_size_[0] + kSide - 1) / kSide),
        tiles_x_((small_size_[1] + kSide - 1) / kSide),
        rows_(images * tiles_y_),
        panel_groups_(std::min(small_panels(), (kItems + large_blocks() - 1) / large_blocks())) {
    // Every chunk is added to the whole gradient: the larger that is, the larger are chunks.
    const int64_t gradient = small_channels_ * large_channels_ * 16 * static_cast<int64_t>(sizeof(T));
    const int64_t tiles = kRunTiles * std::clamp<int64_t>(gradient / kGradientBytes, 1, 4);
    const int64_t most = std::clamp<int64_t>(tiles / tiles_x_, 1, std::max<int64_t>(1, rows_));
    chunks_ = (rows_ + most - 1) / most;
    plane_tiles_ = chunks_ == 0 ? 0 : (rows_ + chunks_ - 1) / chunks_ * tiles_x_;
    if (chunks_ > 1)
      pieces_.reset(new T[static_cast<size_t>(small_panels() * large_blocks() * kTaps * kPiece)]);
  }

  // To [small channel][large channel][tap]. False if not all is finite: then `out` is not to be used.
  template <class Small, class Large, class In>
  bool run(ParallelFor pool, const Small& small, const Large& large, In* out) {
    if (rows_ == 0) {
      std::fill(out, out + small_channels_ * large_channels_ * kTaps, Rounded<In>::from(T(0)));
      return true;
    }
    std::atomic<bool> finite{true};
    parallel_for(pool, large_blocks() * panel_groups_, /*grain=*/1, [&](int64_t begin, int64_t end) {
      Work work(*this);
      while (begin < end) {
        const Part part = part_at(begin, end);
        for (int64_t chunk = 0; chunk < chunks_; ++chunk) {
          if (!add_chunk(small, large, part, chunk, work, out)) finite = false;
        }
        begin += part.items;
      }
    });
    return finite;
  }

 private:
  static constexpr int64_t kSide = Tile::kOutputs;  // of a tile of the small map
  static constexpr int64_t kLargeRows = 2 * kSide + 2;
  static constexpr int64_t kPlanes = kProducts<Tile>;
  static constexpr int64_t kPiece = kLargeBlock * kWide<T>;
  static constexpr int64_t kTaps = 16;
  static constexpr int64_t kGradientBytes = 2 * 1024 * 1024;

  int64_t small_panels() const { return (small_channels_ + kWide<T> - 1) / kWide<T>; }
  int64_t large_blocks() const { return (large_channels_ + kLargeBlock - 1) / kLargeBlock; }

  // Some blocks of the large map with some panels of the small one: items in the order [block][group].
  struct Part {
    int64_t first_block, last_block, first_panel, last_panel, items;
  };

  Part part_at(int64_t begin, int64_t end) const {
    const int64_t block = begin / panel_groups_, group = begin % panel_groups_;
    if (group == 0 && end - begin >= panel_groups_) {
      const int64_t blocks = (end - begin) / panel_groups_;
      return {block, block + blocks, 0, small_panels(), blocks * panel_groups_};
    }
    const int64_t last = std::min(panel_groups_, group + end - begin);
    return {block, block + 1, group * small_panels() / panel_groups_, last * small_panels() / panel_groups_,
            last - group};
  }

  // What a thread works in.
  struct Work {
    explicit Work(const MinimalWeightGrad& w)
        : large_size(4 * kPlanes * w.large_plane()),
          small_size(w.small_panels() * kPlanes * w.small_plane()),
          memory(static_cast<size_t>(large_size + small_size + (kPlanes + kTaps) * kPiece +
                                     kLargeRows * w.large_pitch() * kLargeBlock +
                                     kSide * w.small_pitch() * kWide<T> + kLanes<T>) *
                 sizeof(T)) {
      large = memory.as<T>();
      small = large + large_size;
      sums = small + small_size;
      taps = sums + kPlanes * kPiece;
      scratch = taps + kTaps * kPiece;
    }

    int64_t large_size, small_size;
    Scratch memory;
    T* large;    // [phase][product][tile][kLargeBlock]
    T* small;    // [panel][product][tile][kWide<T>]
    T* sums;     // [product][kLargeBlock][kWide<T>]
    T* taps;     // [tap][kLargeBlock][kWide<T>]
    T* scratch;  // rows of a map
  };

  // A line more than the tiles: planes would otherwise share the lines of the first-level cache.
  int64_t large_plane() const { return plane_tiles_ * kLargeBlock + 16; }
  int64_t small_plane() const { return plane_tiles_ * kWide<T> + 16; }

  // Pixels of a row of tiles.
  int64_t small_pitch() const { return kSide * tiles_x_; }
  int64_t large_pitch() const { return 2 * kSide * tiles_x_ + 2; }

  // A row of a map with zeros around it: x from `low` on.
  template <class Rows>
  static void read_padded(const Rows& rows, int64_t image, int64_t y, int64_t low, int64_t count,
                          const int64_t* size, const Channels& channels, T* row) {
    const int64_t first = std::clamp<int64_t>(0, low, low + count);
    const int64_t last = std::clamp<int64_t>(size[1], first, low + count);
    if (y < 0 || y >= size[0] || first == last) {
      std::fill(row, row + count * channels.count, T(0));
      return;
    }
    std::fill(row, row + (first - low) * channels.count, T(0));
    rows.read(image, y, first, last - first, channels, row + (first - low) * channels.count);
    std::fill(row + (last - low) * channels.count, row + count * channels.count, T(0));
  }

  // A row of tiles of a block of the large map, from place `at` of the planes on.
  template <class Large>
  void load_large(const Large& large, int64_t block, int64_t row, int64_t at, const Work& work) const {
    const Channels channels{block * kLargeBlock,
                            std::min(kLargeBlock, large_channels_ - block * kLargeBlock)};
    const int64_t pitch = large_pitch() * channels.count, plane = large_plane();
    for (int64_t i = 0; i < kLargeRows; ++i) {
      read_padded(large, row / tiles_y_, 2 * kSide * (row % tiles_y_) + i - shape_.padding[0],
                  -shape_.padding[1], large_pitch(), large_size_, channels, work.scratch + i * pitch);
    }
    T* to = work.large + at * kLargeBlock;
    for (int64_t x = 0; x < tiles_x_; ++x, to += kLargeBlock) {
      for (int64_t c = 0; c < channels.count; c += kLanes<T>) {
        const T* const from = work.scratch + 2 * kSide * x * channels.count + c;
        for (int phase = 0; phase < 4; ++phase) {
          transform_inputs<Tile>(from + phase / 2 * pitch + phase % 2 * channels.count, 2 * pitch,
                                 2 * channels.count, plane, to + phase * kPlanes * plane + c);
        }
      }
    }
  }

  template <class Small>
  void load_small(const Small& small, int64_t panel, int64_t row, T* to, const Work& work) const {
    const Channels channels{panel * kWide<T>, std::min(kWide<T>, small_channels_ - panel * kWide<T>)};
    const int64_t pitch = small_pitch() * channels.count, plane = small_plane();
    for (int64_t i = 0; i < kSide; ++i) {
      read_padded(small, row / tiles_y_, kSide * (row % tiles_y_) + i, 0, small_pitch(), small_size_,
                  channels, work.scratch + i * pitch);
    }
    for (int64_t x = 0; x < tiles_x_; ++x, to += kWide<T>) {
      for (int64_t c = 0; c < channels.count; c += kLanes<T>) {
        transform_pixels<Tile>(work.scratch + kSide * x * channels.count + c, pitch, channels.count, plane,
                               to + c);
      }
    }
  }

  template <class Small, class Large, class In>
  bool add_chunk(const Small& small, const Large& large, const Part& part, int64_t chunk, const Work& work,
                 In* out) const {
    const int64_t first = chunk * rows_ / chunks_, last = (chunk + 1) * rows_ / chunks_;
    const int64_t panel_size = kPlanes * small_plane();
    for (int64_t panel = part.first_panel; panel < part.last_panel; ++panel) {
      T* const to = work.small + (panel - part.first_panel) * panel_size;
      for (int64_t row = first; row < last; ++row) {
        load_small(small, panel, row, to + (row - first) * tiles_x_ * kWide<T>, work);
      }
    }
    bool finite = true;
    for (int64_t block = part.first_block; block < part.last_block; ++block) {
      for (int64_t row = first; row < last; ++row) {
        load_large(large, block, row, (row - first) * tiles_x_, work);
      }
      for (int64_t panel = part.first_panel; panel < part.last_panel; ++panel) {
        T* const taps =
            chunks_ == 1 ? work.taps : pieces_.get() + (block * small_panels() + panel) * kTaps * kPiece;
        for (int phase = 0; phase < 4; ++phase) {
          add_phase(work, work.small + (panel - part.first_panel) * panel_size, phase,
                    (last - first) * tiles_x_, chunk == 0, taps);
        }
        if (chunk == chunks_ - 1) finite &= store(block, panel, taps, out);
      }
    }
    return finite;
  }

  // The products of all tiles of the chunk, then the phase's four taps.
  void add_phase(const Work& work, const T* small, int phase, int64_t tiles, bool fresh, T* taps) const {
    const T* const large = work.large + phase * kPlanes * large_plane();
    T* const sums = work.sums;
    for (int64_t first = 0; first < tiles; first += kRunTiles) {
      const int64_t count = std::min(kRunTiles, tiles - first);
      for (int64_t p = 0; p < kPlanes; ++p) {
        const T* const l = large + p * large_plane() + first * kLargeBlock;
        const T* const s = small + p * small_plane() + first * kWide<T>;
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
      transform_gradient<Tile>(sums + i, kPiece, tap);
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        T* const to = taps + (8 * (k / 2) + 2 * (k % 2)) * kPiece + i;
        write_vector(to, fresh ? tap[k] : read_vector(to) + tap[k]);
      }
    }
  }

  template <class In>
  bool store(int64_t block, int64_t panel, const T* taps, In* out) const {
    const int64_t small = std::min(kWide<T>, small_channels_ - panel * kWide<T>);
    const int64_t large = std::min(kLargeBlock, large_channels_ - block * kLargeBlock);
    T zero = 0;
    for (int64_t l = 0; l < large; ++l) {
      In* to = out + (panel * kWide<T> * large_channels_ + block * kLargeBlock + l) * 16;
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
  int64_t tiles_y_, tiles_x_, rows_, panel_groups_, chunks_, plane_tiles_;
  std::unique_ptr<T[]> pieces_;  // [block][panel][tap][kLargeBlock][kWide<T>], where there are many chunks
};

}  // namespace
}  // namespace fastgan::cpu
