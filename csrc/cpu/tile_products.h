// Products of matrices that stay in the first-level cache: rows of at most kDepth inputs, and packed taps or
// sums of them. For kernel headers, as vector.h is.
//
// Needs before it: <type_traits>, cpu/affine_act_conv_kernel.h and what it needs.

namespace fastgan::cpu {
namespace {

constexpr int64_t kDepth = 64;  // channels of a block

// Tiles that a micro-kernel keeps in registers: with two vectors each, 24 of AVX-512's 32, 12 of 16.
constexpr int kRows = FASTGAN_VECTOR_BYTES == 64 ? 12 : 6;

// A block of weights of one product: the sum of one, two or four taps of [channel][kPanel], the next panel's
// panel_size on.
template <class T>
struct Taps {
  const T* at[4];
  int64_t panel_size;
};

// The taps of a phase, those below and to the right of the first `down` and `right` after it.
template <class T>
struct SquareTaps {
  const T* first;
  int64_t down, right, panel_size;

  SquareTaps from_channel(int64_t channel) const {
    return {first + channel * kPanel, down, right, panel_size};
  }
  const T* at(int y, int x) const { return first + y * down + x * right; }
  // Where vector v of a tile of outputs is.
  int64_t vector(int v) const { return v * kLanes<T> / kPanel * panel_size + v * kLanes<T> % kPanel; }
};

// products[row][kTile<T>] (+)= inputs [row][kDepth] times the sums of the taps [depth][kTile<T>].
template <int rows, int vectors, int taps, class T>
__attribute__((noinline)) void multiply_tiles(const T* inputs, const Taps<T>& weights, int64_t depth,
                                              bool first, T* products) {
  Vector<T> total[rows][vectors] = {};
  const T* at[vectors][taps];
  for (int v = 0; v < vectors; ++v) {
    for (int t = 0; t < taps; ++t)
      at[v][t] = weights.at[t] + v * kLanes<T> / kPanel * weights.panel_size + v * kLanes<T> % kPanel;
  }
  for (int64_t i = 0; i < depth; ++i) {
    Vector<T> weight[vectors];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) {
      Vector<T> tap[taps];
#pragma GCC unroll 4
      for (int t = 0; t < taps; ++t) tap[t] = *reinterpret_cast<const Vector<T>*>(at[v][t] + i * kPanel);
      if constexpr (taps == 1) weight[v] = tap[0];
      if constexpr (taps == 2) weight[v] = tap[0] + tap[1];
      if constexpr (taps == 4) weight[v] = (tap[0] + tap[1]) + (tap[2] + tap[3]);
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
      const Vector<T> x = broadcast(inputs[r * kDepth + i]);
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) total[r][v] += x * weight[v];
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) {
      auto* const to = reinterpret_cast<Vector<T>*>(products + r * kTile<T> + v * kLanes<T>);
      *to = first ? total[r][v] : *to + total[r][v];
    }
  }
}

// The same for any number of tiles: a row's sum is the same whichever kernel takes it.
template <int vectors, int taps, class T>
void multiply_plane(const T* inputs, int64_t tiles, const Taps<T>& weights, int64_t depth, bool first,
                    T* products) {
  const auto take = [&](auto rows) {
    constexpr int kCount = decltype(rows)::value;
    // Sixteen are better two times eight: four tiles are too few to hide the loads of weights.
    for (; tiles >= kCount && !(kCount == 12 && tiles == 16); tiles -= kCount) {
      multiply_tiles<kCount, vectors, taps>(inputs, weights, depth, first, products);
      inputs += kCount * kDepth;
      products += kCount * kTile<T>;
    }
  };
  take(std::integral_constant<int, kRows>());
  if constexpr (kRows > 8) take(std::integral_constant<int, 8>());
  take(std::integral_constant<int, 4>());
  take(std::integral_constant<int, 1>());
}

// Four taps as one, summed in `to`: better where many tiles use them.
template <int vectors, class T>
Taps<T> summed(const Taps<T>& taps, int64_t depth, T* to) {
  const Taps<T> sums{{to}, kDepth * kPanel};
  for (int v = 0; v < vectors; ++v) {
    const int64_t from = v * kLanes<T> / kPanel * taps.panel_size + v * kLanes<T> % kPanel;
    T* const at = to + v * kLanes<T> / kPanel * sums.panel_size + v * kLanes<T> % kPanel;
    for (int64_t i = 0; i < depth * kPanel; i += kPanel) {
      const Vector<T> a = read_vector(taps.at[0] + from + i), b = read_vector(taps.at[1] + from + i);
      const Vector<T> c = read_vector(taps.at[2] + from + i), d = read_vector(taps.at[3] + from + i);
      write_vector(at + i, (a + b) + (c + d));
    }
  }
  return sums;
}

}  // namespace
}  // namespace fastgan::cpu
