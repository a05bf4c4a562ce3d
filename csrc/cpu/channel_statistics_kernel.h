// channel_statistics and its gradient over tiles of dense maps. For sources of one capability.
//
// Needs before it: <algorithm>, <cmath>, <vector>, common/half.h, common/moments.h, cpu/channel_statistics.h,
// cpu/channel_rows.h, cpu/channel_moments.h.

namespace fastgan::cpu {
namespace {

// [C] of the stored type in the compute type, zeros for nullptr.
template <class In, class T>
std::vector<T> widened(const void* vector, int64_t channels) {
  std::vector<T> wide(static_cast<size_t>(channels), T(0));
  const In* const from = static_cast<const In*>(vector);
  for (int64_t c = 0; from != nullptr && c < channels; ++c) wide[c] = to_compute(from[c]);
  return wide;
}

// Moments of neighbours in memory of one channel, in eight lanes.
template <class In, class T>
Moments plane_moments(const In* first, int64_t count, T bias) {
  const auto sum = [&](const auto& term) {
    double lanes[8] = {};
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
      for (int64_t k = 0; k < 8; ++k) lanes[k] += term(static_cast<double>(to_compute(first[i + k]) - bias));
    }
    for (int64_t k = 0; i < count; ++i, ++k)
      lanes[k] += term(static_cast<double>(to_compute(first[i]) - bias));
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  };
  const double mean = sum([](double value) { return value; }) / static_cast<double>(count);
  const double squares = sum([mean](double value) { return (value - mean) * (value - mean); });
  return {static_cast<double>(count), mean, squares};
}

void run_channel_statistics(const ChannelStatisticsArguments& a, ParallelFor pool) {
  const MapTiles tiles(a.shape);
  const int64_t lanes = tiles.channels_per_tile();
  std::vector<Moments> parts(static_cast<size_t>(tiles.count() * lanes));
  with_types(a.type, [&](auto types) {
    using In = typename decltype(types)::In;
    using T = typename decltype(types)::T;
    const std::vector<T> bias = widened<In, T>(a.bias, a.shape.channels);
    parallel_for(pool, tiles.count(), tiles.grain(), [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) {
        const Tile tile = tiles[index];
        const In* const first = static_cast<const In*>(a.output) + tile.first;
        Moments* const moments = parts.data() + index * lanes;
        if (!a.shape.channels_last) {
          *moments = plane_moments(first, tile.pixels, bias[tile.channel]);
          continue;
        }
        for (int64_t c = 0; c < lanes; c += kMomentChannels) {
          const int64_t used = std::min(kMomentChannels, lanes - c);
          channel_moments(first + c, tile.pixels, lanes, bias.data() + c, used, moments + c);
        }
      }
    });
    for (int64_t c = 0; c < a.shape.channels; ++c) {
      Moments total;
      for (int64_t image = 0; image < a.shape.images; ++image) {
        tiles.each_part(parts.data(), image, c, [&](const Moments& part) { merge(total, part); });
      }
      static_cast<T*>(a.mean)[c] = static_cast<T>(mean_of(total));
      static_cast<T*>(a.var)[c] = static_cast<T>(variance_of(total));
    }
  });
}

// Coefficients of d_output = grad_output + constant + slope * ((output - bias) - mean), per channel.
template <class T>
struct Coefficients {
  std::vector<T> constant, slope, bias, mean;
};

template <class In, class T>
Coefficients<T> coefficients(const ChannelStatisticsBackwardArguments& a) {
  const int64_t channels = a.shape.channels;
  const T count = static_cast<T>(a.shape.images * a.shape.pixels);
  Coefficients<T> k{widened<T, T>(a.grad_mean, channels), widened<T, T>(a.grad_var, channels),
                    widened<In, T>(a.bias, channels), widened<T, T>(a.mean, channels)};
  for (T& value : k.constant) value = value / count;
  for (T& value : k.slope) value = T(2) * value / count;
  return k;
}

template <bool one, class In, class T>
void statistics_backward_tiles(const ChannelStatisticsBackwardArguments& a, const MapTiles& tiles,
                               const Coefficients<T>& k, int64_t begin, int64_t end) {
  ChannelRow<T> constant(tiles, T(0)), slope(tiles, T(0)), bias(tiles, T(0)), mean(tiles, T(0));
  const int64_t chunk = chunk_elements(tiles), lanes = tiles.channels_per_tile();
  std::vector<T> buffer(static_cast<size_t>(chunk));
  T* const dy = buffer.data();
  for (int64_t index = begin; index < end; ++index) {
    const Tile tile = tiles[index];
    constant.set(k.constant.data(), tile);
    slope.set(k.slope.data(), tile);
    bias.set(k.bias.data(), tile);
    mean.set(k.mean.data(), tile);
    const T *const c = constant.data(), *const s = slope.data(), *const b = bias.data(),
                   *const m = mean.data();
    for (int64_t at = 0; at < tile.pixels * lanes; at += chunk) {
      const int64_t count = std::min(chunk, tile.pixels * lanes - at), first = tile.first + at;
      if (a.grad_var != nullptr) {
        const In* const y = static_cast<const In*>(a.output) + first;
        for (int64_t i = 0; i < count; ++i) {
          const int64_t j = one ? 0 : i;
          dy[i] = s[j] * ((to_compute(y[i]) - b[j]) - m[j]) + c[j];
        }
      } else {
        for (int64_t i = 0; i < count; ++i) dy[i] = c[one ? 0 : i];
      }
      if (a.grad_output != nullptr) {
        const In* const gy = static_cast<const In*>(a.grad_output) + first;
        for (int64_t i = 0; i < count; ++i) dy[i] += to_compute(gy[i]);
      }
      In* const out = static_cast<In*>(a.d_output) + first;
      for (int64_t i = 0; i < count; ++i) out[i] = Rounded<In>::from(dy[i]);
    }
  }
}

void run_channel_statistics_backward(const ChannelStatisticsBackwardArguments& a, ParallelFor pool) {
  const MapTiles tiles(a.shape);
  with_types(a.type, [&](auto types) {
    using In = typename decltype(types)::In;
    using T = typename decltype(types)::T;
    const Coefficients<T> k = coefficients<In, T>(a);
    with_flag(uniform(tiles), [&](auto one) {
      parallel_for(pool, tiles.count(), tiles.grain(), [&](int64_t begin, int64_t end) {
        statistics_backward_tiles<decltype(one)::kValue, In, T>(a, tiles, k, begin, end);
      });
    });
  });
}

}  // namespace
}  // namespace fastgan::cpu
