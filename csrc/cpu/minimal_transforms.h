// The minimal algorithms for two taps: their transforms, along one axis and of squares of vectors of
// channels. minimal_correlation_kernel.h says what they are for. For kernel headers, as vector.h is.
//
// F(m, 2) gives m outputs y[i] = d[i] g[0] + d[i + 1] g[1] with m + 1 products: of transformed inputs d and
// transformed taps g, added up to outputs. The weight gradient g[i] = sum over j of d[i + j] f[j] has the
// same inputs, and is the same algorithm transposed: pixels f are transformed by the outputs' matrix, and
// products by the taps'.
//
// Needs before it: cpu/vector.h.

namespace fastgan::cpu {
namespace {

// F(2, 2), from the points 0, 1 and infinity.
template <class T>
struct Pairs {
  using V = Vector<T>;
  static constexpr int kOutputs = 2, kInputs = 3;

  static void inputs(const V (&d)[3], V (&m)[3]) { m[0] = d[0] - d[1], m[1] = d[1], m[2] = d[1] - d[2]; }
  static void outputs(const V (&m)[3], V (&y)[2]) { y[0] = m[0] + m[1], y[1] = m[1] - m[2]; }
  static void pixels(const V (&f)[2], V (&m)[3]) { m[0] = f[0], m[1] = f[0] + f[1], m[2] = f[1]; }
  static void gradient(const V (&m)[3], V (&g)[2]) { outputs(m, g); }
};

// F(4, 2), from the points 0, 1, -1/2, -2 and infinity: a set that is its own reciprocal, and of those with
// exact coefficients the one with the smallest rounding errors. With a point -1 they are half as large again.
template <class T>
struct Quads {
  using V = Vector<T>;
  static constexpr int kOutputs = 4, kInputs = 5;

  static void inputs(const V (&d)[5], V (&m)[5]) {
    m[0] = (d[0] - d[3]) + (d[1] - d[2]) * T(1.5);
    m[1] = (d[1] + d[3]) + d[2] * T(2.5);
    m[2] = (d[2] + d[3]) - d[1] * T(2);
    m[3] = (d[1] + d[2]) - d[3] * T(2);
    m[4] = (d[4] - d[1]) + (d[3] - d[2]) * T(1.5);
  }
  template <int i>
  static V tap(V g0, V g1) {
    if constexpr (i == 0) return g0;
    if constexpr (i == 1) return (g0 + g1) * (T(2) / 9);
    if constexpr (i == 2) return (g0 * T(2) - g1) * (T(1) / 18);
    if constexpr (i == 3) return (g0 - g1 * T(2)) * (T(1) / 18);
    if constexpr (i == 4) return g1;
  }
  static void taps(const V (&g)[2], V (&m)[5]) {
    m[0] = g[0], m[1] = tap<1>(g[0], g[1]), m[2] = tap<2>(g[0], g[1]), m[3] = tap<3>(g[0], g[1]), m[4] = g[1];
  }
  static void outputs(const V (&m)[5], V (&y)[4]) {
    y[0] = (m[0] + m[1]) + (m[3] + m[2] * T(8));
    y[1] = m[1] - (m[2] * T(4) + m[3] * T(2));
    y[2] = m[1] + (m[2] * T(2) + m[3] * T(4));
    y[3] = (m[1] + m[4]) - (m[2] + m[3] * T(8));
  }
  static void pixels(const V (&f)[4], V (&m)[5]) {
    m[0] = f[0];
    m[1] = (f[0] + f[1]) + (f[2] + f[3]);
    m[2] = (f[0] * T(8) - f[1] * T(4)) + (f[2] * T(2) - f[3]);
    m[3] = (f[0] - f[1] * T(2)) + (f[2] * T(4) - f[3] * T(8));
    m[4] = f[3];
  }
  static void gradient(const V (&m)[5], V (&g)[2]) {
    const V sum = m[1] * (T(2) / 9);
    g[0] = (m[0] + sum) + (m[2] * T(2) + m[3]) * (T(1) / 18);
    g[1] = (m[4] + sum) - (m[2] + m[3] * T(2)) * (T(1) / 18);
  }
};

// Products of a square tile and phase: kInputs k + l has k of kInputs down and l to the right.
template <class Tile>
constexpr int64_t kProducts = Tile::kInputs * Tile::kInputs;

// Applies transform, from `in` vectors to `out`, along both axes: reads from [in][in], `row` and `column`
// apart, and calls put(y, x, vector) for [out][out].
template <int in, int out, class T, class Transform, class Put>
inline void transform_square(const T* from, int64_t row, int64_t column, const Transform& transform,
                             const Put& put) {
  Vector<T> half[out][in];
#pragma GCC unroll 5
  for (int y = 0; y < in; ++y) {
    Vector<T> line[in], made[out];
#pragma GCC unroll 5
    for (int x = 0; x < in; ++x) line[x] = read_vector(from + y * row + x * column);
    transform(line, made);
#pragma GCC unroll 5
    for (int x = 0; x < out; ++x) half[x][y] = made[x];
  }
#pragma GCC unroll 5
  for (int x = 0; x < out; ++x) {
    Vector<T> made[out];
    transform(half[x], made);
#pragma GCC unroll 5
    for (int y = 0; y < out; ++y) put(y, x, made[y]);
  }
}

// Inputs of a tile to its planes.
template <class Tile, class T>
inline void transform_inputs(const T* from, int64_t row, int64_t column, int64_t plane, T* to) {
  constexpr int kIn = Tile::kInputs;
  transform_square<kIn, kIn>(
      from, row, column,
      [](const Vector<T>(&d)[kIn], Vector<T>(&m)[kIn]) __attribute__((always_inline)) { Tile::inputs(d, m); },
      [=](int y, int x, Vector<T> v)
          __attribute__((always_inline)) { write_vector(to + (y * kIn + x) * plane, v); });
}

// Products, `plane` apart, to the tile's outputs, row by row.
template <class Tile, class T>
inline void transform_products(const T* from, int64_t plane,
                               Vector<T> (&out)[Tile::kOutputs * Tile::kOutputs]) {
  constexpr int kIn = Tile::kInputs, kOut = Tile::kOutputs;
  transform_square<kIn, kOut>(
      from, kIn * plane, plane,
      [](const Vector<T>(&m)[kIn], Vector<T>(&y)[kOut])
          __attribute__((always_inline)) { Tile::outputs(m, y); },
      [&](int y, int x, Vector<T> v) __attribute__((always_inline)) { out[y * kOut + x] = v; });
}

// A tile of the small map to its planes.
template <class Tile, class T>
inline void transform_pixels(const T* from, int64_t row, int64_t column, int64_t plane, T* to) {
  constexpr int kIn = Tile::kInputs, kOut = Tile::kOutputs;
  transform_square<kOut, kIn>(
      from, row, column,
      [](const Vector<T>(&f)[kOut], Vector<T>(&m)[kIn])
          __attribute__((always_inline)) { Tile::pixels(f, m); },
      [=](int y, int x, Vector<T> v)
          __attribute__((always_inline)) { write_vector(to + (y * kIn + x) * plane, v); });
}

// Products, `plane` apart, to the gradient of a phase's 2x2 taps, row by row.
template <class Tile, class T>
inline void transform_gradient(const T* from, int64_t plane, Vector<T> (&out)[4]) {
  constexpr int kIn = Tile::kInputs;
  transform_square<kIn, 2>(
      from, kIn * plane, plane,
      [](const Vector<T>(&m)[kIn], Vector<T>(&g)[2]) __attribute__((always_inline)) { Tile::gradient(m, g); },
      [&](int y, int x, Vector<T> v) __attribute__((always_inline)) { out[y * 2 + x] = v; });
}

}  // namespace
}  // namespace fastgan::cpu
