// Rows of feature maps in the compute type, [x][channel]: read from any layout, with what is in front of a
// convolution or its gradients applied. For kernel headers, as vector.h is.
//
// Needs before it: <type_traits>, <vector>, common/half.h, cpu/affine_act_conv.h, cpu/vector.h.

namespace fastgan::cpu {
namespace {

// A vector of a map in the compute type; and one rounded to the stored type.
template <class T, class In>
inline Vector<T> read_stored(const In* from) {
  if constexpr (std::is_same_v<In, T>) {
    return read_vector(from);
  } else {
    T wide[kLanes<T>];
    for (int i = 0; i < kLanes<T>; ++i) wide[i] = to_compute(from[i]);
    return read_vector(wide);
  }
}

template <class In, class T>
inline void write_stored(In* to, Vector<T> value) {
  if constexpr (std::is_same_v<In, T>) {
    write_vector(to, value);
  } else {
    T wide[kLanes<T>];
    write_vector(wide, value);
    for (int i = 0; i < kLanes<T>; ++i) to[i] = Rounded<In>::from(wide[i]);
  }
}

// Some neighbouring channels of a map.
struct Channels {
  int64_t first, count;
};

// row[x][c] = map[image, first + c, y, first_x + x] for x < count, c < channels.count.
template <class In, class T>
void read_row(const FeatureMap& map, int64_t image, int64_t y, int64_t first_x, int64_t count,
              const Channels& channels, T* row) {
  const In* const from = static_cast<const In*>(map.data) + image * map.stride[0] +
                         channels.first * map.stride[1] + y * map.stride[2] + first_x * map.stride[3];
  if (map.stride[1] == 1 && map.stride[3] == channels.count) {
    for (int64_t i = 0; i < count * channels.count; ++i) row[i] = to_compute(from[i]);
    return;
  }
  if (map.stride[1] == 1) {
    for (int64_t x = 0; x < count; ++x) {
      const In* const pixel = from + x * map.stride[3];
      for (int64_t c = 0; c < channels.count; ++c) row[x * channels.count + c] = to_compute(pixel[c]);
    }
    return;
  }
  for (int64_t c = 0; c < channels.count; ++c) {
    const In* const plane = from + c * map.stride[1];
    for (int64_t x = 0; x < count; ++x) row[x * channels.count + c] = to_compute(plane[x * map.stride[3]]);
  }
}

// scale, shift and activation, rows of ones and zeros in place of what is absent.
template <class T>
class Affine {
 public:
  Affine(const AffineAct& affine, int64_t channels)
      : affine_(affine),
        ones_(affine.scale.data == nullptr ? channels : 0, T(1)),
        zeros_(affine.shift.data == nullptr ? channels : 0, T(0)) {}

  const T* scale(int64_t image) const { return row(affine_.scale, ones_, image); }
  const T* shift(int64_t image) const { return row(affine_.shift, zeros_, image); }
  Activation activation() const { return affine_.activation; }
  T negative_slope() const { return static_cast<T>(affine_.negative_slope); }
  bool identity() const {
    return affine_.scale.data == nullptr && affine_.shift.data == nullptr &&
           affine_.activation == Activation::kNone;
  }

 private:
  static const T* row(const Rows& rows, const std::vector<T>& absent, int64_t image) {
    return rows.data == nullptr ? absent.data() : static_cast<const T*>(rows.data) + image * rows.row_stride;
  }

  AffineAct affine_;
  std::vector<T> ones_, zeros_;
};

// What a convolution reads: act(scale * input + shift).
template <class In, class T>
class ActivatedRows {
 public:
  ActivatedRows(const FeatureMap& input, const AffineAct& affine, int64_t channels)
      : input_(input), affine_(affine, channels), channels_(channels) {}

  // row[x][c] for all channels, or some.
  void read(int64_t image, int64_t y, int64_t first_x, int64_t count, T* row) const {
    read(image, y, first_x, count, {0, channels_}, row);
  }

  void read(int64_t image, int64_t y, int64_t first_x, int64_t count, const Channels& channels,
            T* row) const {
    if (affine_.identity()) return read_row<In>(input_, image, y, first_x, count, channels, row);
    switch (affine_.activation()) {
      case Activation::kLeakyRelu:
        return activated<Activation::kLeakyRelu>(image, y, first_x, count, channels, row);
      case Activation::kRelu:
        return activated<Activation::kRelu>(image, y, first_x, count, channels, row);
      default:
        return activated<Activation::kNone>(image, y, first_x, count, channels, row);
    }
  }

 private:
  template <Activation activation>
  void activated(int64_t image, int64_t y, int64_t first_x, int64_t count, const Channels& channels,
                 T* row) const {
    const T *scale = affine_.scale(image) + channels.first, *shift = affine_.shift(image) + channels.first;
    const T slope = affine_.negative_slope();
    if (input_.stride[1] == 1 && channels.count % kLanes<T> == 0) {
      const In* from = static_cast<const In*>(input_.data) + image * input_.stride[0] + channels.first +
                       y * input_.stride[2] + first_x * input_.stride[3];
      for (int64_t x = 0; x < count; ++x, from += input_.stride[3], row += channels.count) {
        for (int64_t c = 0; c < channels.count; c += kLanes<T>) {
          Vector<T> v = read_vector(scale + c) * read_stored<T>(from + c) + read_vector(shift + c);
          if constexpr (activation == Activation::kLeakyRelu) v = v > T(0) ? v : v * slope;
          if constexpr (activation == Activation::kRelu) v = v <= T(0) ? Vector<T>{} : v;
          write_vector(row + c, v);
        }
      }
      return;
    }
    read_row<In>(input_, image, y, first_x, count, channels, row);
    for (int64_t x = 0; x < count; ++x, row += channels.count) {
      for (int64_t c = 0; c < channels.count; ++c) {
        row[c] = activate<activation>(scale[c] * row[c] + shift[c], slope);
      }
    }
  }

  FeatureMap input_;
  Affine<T> affine_;
  int64_t channels_;
};

// What its gradients read: dy of OutputGradient.
template <class In, class T>
class GradientRows {
 public:
  GradientRows(const OutputGradient& gradient, int64_t channels)
      : gradient_(gradient),
        channels_(channels),
        by_mean_(channels, T(0)),
        by_var_(channels, T(0)),
        bias_(channels, T(0)),
        mean_(channels, T(0)) {
    const T count = static_cast<T>(gradient.count);
    for (int64_t c = 0; c < channels; ++c) {
      if (gradient.grad_mean != nullptr) by_mean_[c] = static_cast<const T*>(gradient.grad_mean)[c] / count;
      if (gradient.grad_var == nullptr) continue;
      by_var_[c] = T(2) * static_cast<const T*>(gradient.grad_var)[c] / count;
      mean_[c] = static_cast<const T*>(gradient.mean)[c];
      if (gradient.bias != nullptr) bias_[c] = to_compute(static_cast<const In*>(gradient.bias)[c]);
    }
  }

  // row[x][c] for all channels, or some.
  void read(int64_t image, int64_t y, int64_t first_x, int64_t count, T* row) const {
    read(image, y, first_x, count, {0, channels_}, row);
  }

  void read(int64_t image, int64_t y, int64_t first_x, int64_t count, const Channels& channels,
            T* row) const {
    const bool given = gradient_.grad_output.data != nullptr;
    if (gradient_.grad_var == nullptr && gradient_.grad_mean == nullptr && given) {
      return read_row<In>(gradient_.grad_output, image, y, first_x, count, channels, row);
    }
    if (gradient_.grad_var != nullptr) {
      read_row<In>(gradient_.output, image, y, first_x, count, channels, row);
      for (int64_t x = 0; x < count; ++x) centre(channels, row + x * channels.count);
    } else {
      for (int64_t x = 0; x < count; ++x)
        std::copy_n(by_mean_.data() + channels.first, channels.count, row + x * channels.count);
    }
    if (given) add(image, y, first_x, count, channels, row);
  }

 private:
  void centre(const Channels& channels, T* pixel) const {
    const T *bias = bias_.data() + channels.first, *mean = mean_.data() + channels.first;
    const T *by_mean = by_mean_.data() + channels.first, *by_var = by_var_.data() + channels.first;
    const int64_t whole = channels.count - channels.count % kLanes<T>;
    for (int64_t c = 0; c < whole; c += kLanes<T>) {
      const Vector<T> centred = (read_vector(pixel + c) - read_vector(bias + c)) - read_vector(mean + c);
      write_vector(pixel + c, read_vector(by_mean + c) + read_vector(by_var + c) * centred);
    }
    for (int64_t c = whole; c < channels.count; ++c) {
      pixel[c] = by_mean[c] + by_var[c] * ((pixel[c] - bias[c]) - mean[c]);
    }
  }

  void add(int64_t image, int64_t y, int64_t first_x, int64_t count, const Channels& channels, T* row) const {
    const FeatureMap& map = gradient_.grad_output;
    const In* const from = static_cast<const In*>(map.data) + image * map.stride[0] +
                           channels.first * map.stride[1] + y * map.stride[2] + first_x * map.stride[3];
    if (map.stride[1] != 1) {
      for (int64_t c = 0; c < channels.count; ++c) {
        const In* const plane = from + c * map.stride[1];
        for (int64_t x = 0; x < count; ++x)
          row[x * channels.count + c] += to_compute(plane[x * map.stride[3]]);
      }
      return;
    }
    const int64_t whole = channels.count - channels.count % kLanes<T>;
    for (int64_t x = 0; x < count; ++x, row += channels.count) {
      const In* const pixel = from + x * map.stride[3];
      for (int64_t c = 0; c < whole; c += kLanes<T>) {
        write_vector(row + c, read_vector(row + c) + read_stored<T>(pixel + c));
      }
      for (int64_t c = whole; c < channels.count; ++c) row[c] += to_compute(pixel[c]);
    }
  }

  OutputGradient gradient_;
  int64_t channels_;
  std::vector<T> by_mean_, by_var_, bias_, mean_;
};

}  // namespace
}  // namespace fastgan::cpu
