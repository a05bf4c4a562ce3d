// The weights of F(4x4, 2x2): 25 from four taps. For kernel headers, as vector.h is.
//
// Transforms along x are stored for a block of channels; those along y are formed in the first-level cache
// for one product at a time, right before it is multiplied. Stored whole, 25 planes would be written to and
// read from the second-level cache, which costs more than to form 15 of them again. For a single tile nothing
// is stored. All ways round alike: before the last multiplication of a transform everything is exact or one
// sum.
//
// Needs before it: cpu/minimal_transforms.h, cpu/tile_products.h and what they need.

namespace fastgan::cpu {
namespace {

// Channels summed before they are added to the rest, half of a block: the products of quads are larger beside
// their outputs than those of pairs.
constexpr int64_t kQuadDepth = 32;

// Calls use(first channel, count) for what is summed in registers.
template <class F>
inline void each_quad_sum(int64_t depth, const F& use) {
  for (int64_t first = 0; first < depth; first += kQuadDepth) use(first, std::min(kQuadDepth, depth - first));
}

// Calls f(constant) with the constant that is `value`, below `count`.
template <int count, class F>
inline void with_constant(int64_t value, const F& f) {
  if constexpr (count > 0) {
    if (value == count - 1) return f(std::integral_constant<int, count - 1>());
    with_constant<count - 1>(value, f);
  }
}

template <class T>
class QuadWeights {
  using Tile = Quads<T>;
  static constexpr int kIn = Tile::kInputs;
  static constexpr int64_t kPlane = kDepth * kTile<T> + 16;  // a line more: see plane_size

 public:
  static constexpr int64_t kSize = (2 * (kIn - 2) + 1) * kPlane;  // of the memory for a block

  // The taps of a block of `depth` channels, which stay where they are.
  QuadWeights(const SquareTaps<T>& taps, int64_t depth, T* memory)
      : taps_(taps), depth_(depth), memory_(memory) {}

  // The transforms along x, before the first product.
  template <int vectors>
  void prepare() {
    const int64_t end = depth_ * kPanel;
    for (int y = 0; y < 2; ++y) {
      for (int v = 0; v < vectors; ++v) {
        const T* const left = taps_.at(y, 0) + taps_.vector(v);
        const T* const right = taps_.at(y, 1) + taps_.vector(v);
        T* const to = plane(y, 1) + stored(v);
        for (int64_t i = 0; i < end; i += kPanel) {
          const Vector<T> a = read_vector(left + i), b = read_vector(right + i);
          write_vector(to + i, Tile::template tap<1>(a, b));
          write_vector(to + kPlane + i, Tile::template tap<2>(a, b));
          write_vector(to + 2 * kPlane + i, Tile::template tap<3>(a, b));
        }
      }
    }
  }

  // Product p = kIn y + x of `tiles` rows of inputs.
  template <int vectors>
  void multiply(int64_t p, const T* inputs, int64_t tiles, bool fresh, T* products) const {
    const Taps<T> weights = product<vectors>(p / kIn, p % kIn);
    each_quad_sum(depth_, [&](int64_t first, int64_t count) {
      multiply_plane<vectors, 1>(inputs + first, tiles,
                                 Taps<T>{{weights.at[0] + first * kPanel}, weights.panel_size}, count,
                                 fresh && first == 0, products);
    });
  }

 private:
  // The weights of product kIn y + x, there until the next call.
  template <int vectors>
  Taps<T> product(int64_t y, int64_t x) const {
    const Half upper = half(0, x), lower = half(1, x);
    if (y == 0) return {{upper.at}, upper.panel_size};
    if (y == kIn - 1) return {{lower.at}, lower.panel_size};
    const int64_t end = depth_ * kPanel;
    with_constant<kIn - 1>(y, [&](auto k) {
      for (int v = 0; v < vectors; ++v) {
        const T* const a = upper.at + upper.vector(v);
        const T* const b = lower.at + lower.vector(v);
        T* const to = memory_ + stored(v);
        for (int64_t i = 0; i < end; i += kPanel) {
          write_vector(to + i,
                       Tile::template tap<decltype(k)::value>(read_vector(a + i), read_vector(b + i)));
        }
      }
    });
    return {{memory_}, kDepth * kPanel};
  }

  // Four taps' transform along x, in memory or, the first and the last, a tap itself.
  struct Half {
    const T* at;
    int64_t panel_size;
    int64_t vector(int v) const { return v * kLanes<T> / kPanel * panel_size + v * kLanes<T> % kPanel; }
  };

  Half half(int y, int64_t x) const {
    if (x == 0 || x == kIn - 1) return {taps_.at(y, x == 0 ? 0 : 1), taps_.panel_size};
    return {plane(y, x), kDepth * kPanel};
  }

  // The first plane is the product's.
  T* plane(int y, int64_t x) const { return memory_ + (y * (kIn - 2) + x) * kPlane; }
  static int64_t stored(int v) { return v * kLanes<T> / kPanel * kDepth * kPanel + v * kLanes<T> % kPanel; }

  SquareTaps<T> taps_;
  int64_t depth_;
  T* memory_;  // [product; y, x][panel][channel][kPanel]
};

// The products of a single tile in column x of the kInputs: products of planes `to_plane` apart (+)= inputs
// of planes `plane` apart [depth] times the taps' transforms, as multiply_tiles has them.
template <int x, int vectors, class T>
__attribute__((noinline)) void multiply_quad(const T* inputs, int64_t plane, const SquareTaps<T>& taps,
                                             int64_t depth, bool first, T* products, int64_t to_plane) {
  constexpr int kIn = Quads<T>::kInputs;
  Vector<T> total[kIn][vectors] = {};
  const T* const from = inputs + x * plane;
  for (int64_t i = 0; i < depth; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) {
      const int64_t at = taps.vector(v) + i * kPanel;
      Vector<T> half[2], weight[kIn];
#pragma GCC unroll 2
      for (int y = 0; y < 2; ++y) {
        half[y] = Quads<T>::template tap<x>(read_vector(taps.at(y, 0) + at), read_vector(taps.at(y, 1) + at));
      }
      Quads<T>::taps(half, weight);
#pragma GCC unroll 5
      for (int y = 0; y < kIn; ++y) total[y][v] += broadcast(from[y * kIn * plane + i]) * weight[y];
    }
  }
  for (int y = 0; y < kIn; ++y) {
    for (int v = 0; v < vectors; ++v) {
      T* const to = products + (y * kIn + x) * to_plane + v * kLanes<T>;
      write_vector(to, first ? total[y][v] : read_vector(to) + total[y][v]);
    }
  }
}

}  // namespace
}  // namespace fastgan::cpu
