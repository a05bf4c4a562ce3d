// affine_act and its gradients over tiles of dense maps. For sources of one capability.
//
// Needs before it: <vector>, common/half.h, common/pixel.h, cpu/affine_act.h, cpu/channel_rows.h.

namespace fastgan::cpu {
namespace {

template <class T>
const T* row_of(const Rows& rows, int64_t image) {
  return rows.data == nullptr ? nullptr : static_cast<const T*>(rows.data) + image * rows.row_stride;
}

// Scale and shift of the tile at hand, 1 and 0 where absent.
template <class T>
struct AffineRows {
  AffineRows(const AffineAct& affine, const MapTiles& tiles)
      : affine(affine), scale(tiles, T(1)), shift(tiles, T(0)) {}

  void set(const Tile& tile) {
    scale.set(row_of<T>(affine.scale, tile.image), tile);
    shift.set(row_of<T>(affine.shift, tile.image), tile);
  }

  const AffineAct& affine;
  ChannelRow<T> scale, shift;
};

template <Activation activation, bool one, class In, class T>
void forward_chunk(const In* in, const T* scale, const T* shift, T slope, int64_t count, In* out) {
  for (int64_t i = 0; i < count; ++i) {
    const T v = scale[one ? 0 : i] * to_compute(in[i]) + shift[one ? 0 : i];
    out[i] = Rounded<In>::from(activate<activation>(v, slope));
  }
}

template <class In>
void store_pixels(const In* z, int64_t count, int64_t step, uint8_t* out) {
  if (step == 1) {
    for (int64_t i = 0; i < count; ++i) out[i] = to_pixel(static_cast<float>(to_compute(z[i])));
  } else {
    for (int64_t i = 0; i < count; ++i) out[i * step] = to_pixel(static_cast<float>(to_compute(z[i])));
  }
}

template <Activation activation, bool one, class In, class T>
void forward_tiles(const AffineActArguments& a, const MapTiles& tiles, int64_t begin, int64_t end) {
  AffineRows<T> rows(a.affine, tiles);
  const T slope = static_cast<T>(a.affine.negative_slope);
  const int64_t chunk = chunk_elements(tiles), lanes = tiles.channels_per_tile();
  const int64_t step = a.shape.channels_last ? 1 : a.shape.channels;
  std::vector<In> stored(a.pixels ? static_cast<size_t>(chunk) : 0);
  for (int64_t index = begin; index < end; ++index) {
    const Tile tile = tiles[index];
    rows.set(tile);
    for (int64_t at = 0; at < tile.pixels * lanes; at += chunk) {
      const int64_t count = std::min(chunk, tile.pixels * lanes - at);
      const In* const in = static_cast<const In*>(a.input) + tile.first + at;
      In* const out = a.pixels ? stored.data() : static_cast<In*>(a.output) + tile.first + at;
      forward_chunk<activation, one>(in, rows.scale.data(), rows.shift.data(), slope, count, out);
      if (!a.pixels) continue;
      const int64_t image = tile.image * a.shape.pixels * a.shape.channels;
      const int64_t first = image + tile.pixel * a.shape.channels + tile.channel + at * step;
      store_pixels(out, count, step, static_cast<uint8_t*>(a.output) + first);
    }
  }
}

void run_affine_act(const AffineActArguments& a, ParallelFor pool) {
  const MapTiles tiles(a.shape);
  with_types(a.type, [&](auto types) {
    using In = typename decltype(types)::In;
    using T = typename decltype(types)::T;
    with_activation(a.affine.activation, [&](auto activation) {
      with_flag(uniform(tiles), [&](auto one) {
        constexpr Activation kActivation = decltype(activation)::value;
        parallel_for(pool, tiles.count(), tiles.grain(), [&](int64_t begin, int64_t end) {
          forward_tiles<kActivation, decltype(one)::kValue, In, T>(a, tiles, begin, end);
        });
      });
    });
  });
}

// x and dv of a chunk, and d_input where it is wanted.
template <Activation activation, bool one, class In, class T>
void backward_chunk(const In* dz, const In* in, const T* scale, const T* shift, T slope, int64_t count, T* x,
                    T* dv, In* d_input) {
  if (in != nullptr) {
    for (int64_t i = 0; i < count; ++i) x[i] = to_compute(in[i]);
  }
  for (int64_t i = 0; i < count; ++i) {
    const T v = scale[one ? 0 : i] * x[i] + shift[one ? 0 : i];
    dv[i] = activate_backward<activation>(to_compute(dz[i]), v, slope);
  }
  if (d_input == nullptr) return;
  for (int64_t i = 0; i < count; ++i) d_input[i] = Rounded<In>::from(scale[one ? 0 : i] * dv[i]);
}

// Adds the terms of a chunk to the sums per channel; of the single channel, in eight lanes.
template <bool one, class F>
void add_chunk(int64_t count, int64_t channels, double* sums, const F& term) {
  if (one) {
    double lanes[8] = {};
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
      for (int64_t k = 0; k < 8; ++k) lanes[k] += static_cast<double>(term(i + k));
    }
    for (int64_t k = 0; i < count; ++i, ++k) lanes[k] += static_cast<double>(term(i));
    *sums +=
        ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  } else {
    for (int64_t i = 0; i < count; i += channels) {
      for (int64_t c = 0; c < channels; ++c) sums[c] += static_cast<double>(term(i + c));
    }
  }
}

template <Activation activation, bool one, class In, class T>
void backward_tiles(const AffineActBackwardArguments& a, const MapTiles& tiles, double* by_scale,
                    double* by_shift, int64_t begin, int64_t end) {
  AffineRows<T> rows(a.affine, tiles);
  const T slope = static_cast<T>(a.affine.negative_slope);
  const int64_t chunk = chunk_elements(tiles), lanes = tiles.channels_per_tile();
  std::vector<T> buffers(static_cast<size_t>(2 * chunk), T(0));
  T *const x = buffers.data(), *const dv = x + chunk;
  for (int64_t index = begin; index < end; ++index) {
    const Tile tile = tiles[index];
    rows.set(tile);
    for (int64_t at = 0; at < tile.pixels * lanes; at += chunk) {
      const int64_t count = std::min(chunk, tile.pixels * lanes - at), first = tile.first + at;
      const In* const in = a.input == nullptr ? nullptr : static_cast<const In*>(a.input) + first;
      In* const d_input = a.d_input == nullptr ? nullptr : static_cast<In*>(a.d_input) + first;
      backward_chunk<activation, one>(static_cast<const In*>(a.grad_output) + first, in, rows.scale.data(),
                                      rows.shift.data(), slope, count, x, dv, d_input);
      if (by_scale != nullptr) {
        add_chunk<one>(count, lanes, by_scale + index * lanes,
                       [&](int64_t i) { return static_cast<double>(dv[i]) * static_cast<double>(x[i]); });
      }
      if (by_shift != nullptr) {
        add_chunk<one>(count, lanes, by_shift + index * lanes, [&](int64_t i) { return dv[i]; });
      }
    }
  }
}

// The sums of the tiles into rows [1 or N, C], in order.
template <class T>
void store_sums(const MapShape& shape, const MapTiles& tiles, const std::vector<double>& parts,
                const Rows& rows, void* out) {
  if (out == nullptr) return;
  const bool one_row = rows.row_stride == 0;
  for (int64_t row = 0; row < (one_row ? 1 : shape.images); ++row) {
    for (int64_t c = 0; c < shape.channels; ++c) {
      double total = 0;
      const int64_t last = one_row ? shape.images : row + 1;
      for (int64_t image = row; image < last; ++image) {
        tiles.each_part(parts.data(), image, c, [&](double part) { total += part; });
      }
      static_cast<T*>(out)[row * shape.channels + c] = static_cast<T>(total);
    }
  }
}

void run_affine_act_backward(const AffineActBackwardArguments& a, ParallelFor pool) {
  const MapTiles tiles(a.shape);
  const auto part_count = static_cast<size_t>(tiles.count() * tiles.channels_per_tile());
  std::vector<double> by_scale(a.d_scale == nullptr ? 0 : part_count, 0.0);
  std::vector<double> by_shift(a.d_shift == nullptr ? 0 : part_count, 0.0);
  with_types(a.type, [&](auto types) {
    using In = typename decltype(types)::In;
    using T = typename decltype(types)::T;
    with_activation(a.affine.activation, [&](auto activation) {
      with_flag(uniform(tiles), [&](auto one) {
        constexpr Activation kActivation = decltype(activation)::value;
        parallel_for(pool, tiles.count(), tiles.grain(), [&](int64_t begin, int64_t end) {
          backward_tiles<kActivation, decltype(one)::kValue, In, T>(
              a, tiles, a.d_scale == nullptr ? nullptr : by_scale.data(),
              a.d_shift == nullptr ? nullptr : by_shift.data(), begin, end);
        });
      });
    });
    store_sums<T>(a.shape, tiles, by_scale, a.affine.scale, a.d_scale);
    store_sums<T>(a.shape, tiles, by_shift, a.affine.shift, a.d_shift);
  });
}

}  // namespace
}  // namespace fastgan::cpu
