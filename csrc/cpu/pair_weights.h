// The weights of F(2x2, 2x2): nine sums of one, two or four taps, formed as they are multiplied. For kernel
// headers, as vector.h is.
//
// Needs before it: <type_traits>, cpu/tile_products.h and what it needs.

namespace fastgan::cpu {
namespace {

template <class T>
class PairWeights {
 public:
  static constexpr int64_t kSize = kDepth * kTile<T>;  // of the memory for a block

  // The taps of a block of `depth` channels, which stay where they are.
  PairWeights(const SquareTaps<T>& taps, int64_t depth, T* memory)
      : taps_(taps), depth_(depth), memory_(memory) {}

  template <int vectors>
  void prepare() {}

  // Product p = 3 k + l of `tiles` rows of inputs: tap k of g0, g0 + g1, g1 down and l of them to the right.
  template <int vectors>
  void multiply(int64_t p, const T* inputs, int64_t tiles, bool first, T* products) const {
    const int64_t k = p / 3, l = p % 3, size = taps_.panel_size;
    const T* const from = taps_.at(k == 2, l == 2);
    const auto take = [&](auto count, const Taps<T>& weights) {
      multiply_plane<vectors, decltype(count)::value>(inputs, tiles, weights, depth_, first, products);
    };
    if (k == 1 && l == 1) {
      const Taps<T> all{{from, taps_.at(0, 1), taps_.at(1, 0), taps_.at(1, 1)}, size};
      if (tiles > kRows) {
        take(std::integral_constant<int, 1>(), summed<vectors>(all, depth_, memory_));
      } else {
        take(std::integral_constant<int, 4>(), all);
      }
    } else if (k == 1 || l == 1) {
      take(std::integral_constant<int, 2>(),
           Taps<T>{{from, from + (k == 1 ? taps_.down : taps_.right)}, size});
    } else {
      take(std::integral_constant<int, 1>(), Taps<T>{{from}, size});
    }
  }

 private:
  SquareTaps<T> taps_;
  int64_t depth_;
  T* memory_;  // of sums of four taps
};

}  // namespace
}  // namespace fastgan::cpu
