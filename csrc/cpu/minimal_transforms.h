// The transforms of the minimal algorithm F(2x2, 2x2), of vectors of channels: see
// minimal_correlation_kernel.h. For kernel headers, as vector.h is.
//
// Needs before it: cpu/vector.h.

namespace fastgan::cpu {
namespace {

constexpr int64_t kProducts = 9;  // of a tile and phase: 3 k + l has k of three down and l to the right

// 3x3 inputs, `row` and `column` apart, to nine planes: d0 - d1, d1, d1 - d2 along both axes.
template <class T>
inline void transform_inputs(const T* from, int64_t row, int64_t column, int64_t plane, T* to) {
  Vector<T> d[3][3];
#pragma GCC unroll 3
  for (int j = 0; j < 3; ++j, from += row) {
    const Vector<T> a = read_vector(from), b = read_vector(from + column), c = read_vector(from + 2 * column);
    d[j][0] = a - b, d[j][1] = b, d[j][2] = b - c;
  }
#pragma GCC unroll 3
  for (int k = 0; k < 3; ++k, to += plane) {
    write_vector(to, d[0][k] - d[1][k]);
    write_vector(to + 3 * plane, d[1][k]);
    write_vector(to + 6 * plane, d[1][k] - d[2][k]);
  }
}

// 2x2 taps to nine planes: g0, g0 + g1, g1 along both axes.
template <class T>
inline void transform_taps(const T* from, int64_t row, int64_t column, int64_t plane, T* to) {
  const Vector<T> a = read_vector(from), b = read_vector(from + column);
  const Vector<T> c = read_vector(from + row), d = read_vector(from + row + column);
  const Vector<T> ab = a + b, cd = c + d;
  write_vector(to, a), write_vector(to + plane, ab), write_vector(to + 2 * plane, b);
  write_vector(to + 3 * plane, a + c), write_vector(to + 4 * plane, ab + cd);
  write_vector(to + 5 * plane, b + d);
  write_vector(to + 6 * plane, c), write_vector(to + 7 * plane, cd), write_vector(to + 8 * plane, d);
}

// Nine products to four outputs: m0 + m1, m1 - m2 along both axes.
template <class T>
inline void transform_products(const T* from, int64_t plane, Vector<T> (&out)[4]) {
  Vector<T> a[3], b[3];
#pragma GCC unroll 3
  for (int l = 0; l < 3; ++l) {
    const Vector<T> m0 = read_vector(from + l * plane), m1 = read_vector(from + (3 + l) * plane);
    const Vector<T> m2 = read_vector(from + (6 + l) * plane);
    a[l] = m0 + m1, b[l] = m1 - m2;
  }
  out[0] = a[0] + a[1], out[1] = a[1] - a[2], out[2] = b[0] + b[1], out[3] = b[1] - b[2];
}

}  // namespace
}  // namespace fastgan::cpu
