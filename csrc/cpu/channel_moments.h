// Moments per channel of pixels in NHWC memory. For kernel headers, as vector.h is.
//
// Needs before it: <algorithm>, <vector>, common/half.h, common/moments.h.

namespace fastgan::cpu {
namespace {

constexpr int64_t kMomentChannels = 16;

// Moments of `channels` <= kMomentChannels neighbouring channels over `count` pixels, stride apart, less
// bias. Two passes over what is still in the cache: the mean first, so nothing cancels in the squares.
template <class In, class T>
void channel_moments(const In* first, int64_t count, int64_t stride, const T* bias, int64_t channels,
                     Moments* moments) {
  double sum[kMomentChannels] = {}, mean[kMomentChannels] = {}, squares[kMomentChannels] = {};
  const auto each_pixel = [&](const auto& use) {
    for (int64_t i = 0; i < count; ++i) {
      const In* const pixel = first + i * stride;
      if (channels == kMomentChannels) {
        for (int64_t k = 0; k < kMomentChannels; ++k)
          use(k, static_cast<double>(to_compute(pixel[k]) - bias[k]));
      } else {
        for (int64_t k = 0; k < channels; ++k) use(k, static_cast<double>(to_compute(pixel[k]) - bias[k]));
      }
    }
  };
  each_pixel([&](int64_t k, double value) { sum[k] += value; });
  for (int64_t k = 0; k < channels; ++k) mean[k] = sum[k] / static_cast<double>(count);
  each_pixel([&](int64_t k, double value) { squares[k] += (value - mean[k]) * (value - mean[k]); });
  for (int64_t k = 0; k < channels; ++k) moments[k] = {static_cast<double>(count), mean[k], squares[k]};
}

}  // namespace
}  // namespace fastgan::cpu
