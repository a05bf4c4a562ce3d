// The choice among the algorithms of the correlation, by the shape alone: an image's bits must not depend on
// how many there are. For kernel headers, as vector.h is.
//
// Needs before it: cpu/affine_act_conv_kernel.h, cpu/minimal_correlation_kernel.h,
// cpu/narrow_correlation_kernel.h, cpu/patch_correlation_kernel.h and what they need.

namespace fastgan::cpu {
namespace {

// The correlation by the algorithm that is the faster one; finish as in Correlation::run.
template <class T, class Rows, class Finish>
void correlate(const Convolution& shape, int64_t images, const PackedWeight& weight, ParallelFor pool,
               const Rows& rows, const Finish& finish) {
  if constexpr (std::is_same_v<T, float> && FASTGAN_VECTOR_BYTES >= 32) {
    const int64_t tile = weight.finite ? minimal_tile(shape) : 0;
    if (tile == 4) return MinimalCorrelation<T, Quads>(shape, images, weight).run(pool, rows, finish);
    if (tile == 2) return MinimalCorrelation<T, Pairs>(shape, images, weight).run(pool, rows, finish);
    if (weight.finite && narrow_wins<T>(shape)) {
      return NarrowCorrelation<T>(shape, images, weight).run(pool, rows, finish);
    }
    if (weight.finite && Patches<T>::fit(shape)) {
      return PatchCorrelation<T>(shape, images, weight).run(pool, rows, finish);
    }
  }
  Correlation<T>(shape, images, weight).run(pool, rows, finish);
}

}  // namespace
}  // namespace fastgan::cpu
