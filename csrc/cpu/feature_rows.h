// Rows of feature maps in the compute type, [x][channel]: read from any layout, transformed in place. For
// kernel headers, as vector.h is.
//
// Needs before it: <vector>, common/half.h, cpu/affine_act_conv.h.

namespace fastgan::cpu {
namespace {

// row[x][c] = map[image, c, y, first_x + x] for x < count.
template <class In, class T>
void read_row(const FeatureMap& map, int64_t image, int64_t y, int64_t first_x, int64_t count,
              int64_t channels, T* row) {
  const In* const from =
      static_cast<const In*>(map.data) + image * map.stride[0] + y * map.stride[2] + first_x * map.stride[3];
  if (map.stride[1] == 1 && map.stride[3] == channels) {
    for (int64_t i = 0; i < count * channels; ++i) row[i] = to_compute(from[i]);
    return;
  }
  if (map.stride[1] == 1) {
    for (int64_t x = 0; x < count; ++x) {
      const In* const pixel = from + x * map.stride[3];
      for (int64_t c = 0; c < channels; ++c) row[x * channels + c] = to_compute(pixel[c]);
    }
    return;
  }
  for (int64_t c = 0; c < channels; ++c) {
    const In* const plane = from + c * map.stride[1];
    for (int64_t x = 0; x < count; ++x) row[x * channels + c] = to_compute(plane[x * map.stride[3]]);
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

template <Activation activation, class T>
void apply_row(const T* scale, const T* shift, T negative_slope, int64_t count, int64_t channels, T* row) {
  for (int64_t x = 0; x < count; ++x, row += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      row[c] = activate<activation>(scale[c] * row[c] + shift[c], negative_slope);
    }
  }
}

// What a convolution reads: act(scale * input + shift).
template <class In, class T>
class ActivatedRows {
 public:
  ActivatedRows(const FeatureMap& input, const AffineAct& affine, int64_t channels)
      : input_(input), affine_(affine, channels), channels_(channels) {}

  void read(int64_t image, int64_t y, int64_t first_x, int64_t count, T* row) const {
    read_row<In>(input_, image, y, first_x, count, channels_, row);
    if (affine_.identity()) return;
    const T *scale = affine_.scale(image), *shift = affine_.shift(image);
    switch (affine_.activation()) {
      case Activation::kLeakyRelu:
        return apply_row<Activation::kLeakyRelu>(scale, shift, affine_.negative_slope(), count, channels_,
                                                 row);
      case Activation::kRelu:
        return apply_row<Activation::kRelu>(scale, shift, affine_.negative_slope(), count, channels_, row);
      default:
        return apply_row<Activation::kNone>(scale, shift, affine_.negative_slope(), count, channels_, row);
    }
  }

 private:
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

  void read(int64_t image, int64_t y, int64_t first_x, int64_t count, T* row) const {
    if (gradient_.grad_var != nullptr) {
      read_row<In>(gradient_.output, image, y, first_x, count, channels_, row);
      for (int64_t x = 0; x < count; ++x) centre(row + x * channels_);
    } else {
      for (int64_t x = 0; x < count; ++x) {
        for (int64_t c = 0; c < channels_; ++c) row[x * channels_ + c] = by_mean_[c];
      }
    }
    if (gradient_.grad_output.data != nullptr) add(image, y, first_x, count, row);
  }

 private:
  void centre(T* pixel) const {
    const T *bias = bias_.data(), *mean = mean_.data(), *by_mean = by_mean_.data(), *by_var = by_var_.data();
    for (int64_t c = 0; c < channels_; ++c) {
      pixel[c] = by_mean[c] + by_var[c] * ((pixel[c] - bias[c]) - mean[c]);
    }
  }

  void add(int64_t image, int64_t y, int64_t first_x, int64_t count, T* row) const {
    const FeatureMap& map = gradient_.grad_output;
    const In* const from = static_cast<const In*>(map.data) + image * map.stride[0] + y * map.stride[2] +
                           first_x * map.stride[3];
    if (map.stride[1] == 1 && map.stride[3] == channels_) {
      for (int64_t i = 0; i < count * channels_; ++i) row[i] += to_compute(from[i]);
      return;
    }
    if (map.stride[1] == 1) {
      for (int64_t x = 0; x < count; ++x) {
        const In* const pixel = from + x * map.stride[3];
        for (int64_t c = 0; c < channels_; ++c) row[x * channels_ + c] += to_compute(pixel[c]);
      }
      return;
    }
    for (int64_t c = 0; c < channels_; ++c) {
      const In* const plane = from + c * map.stride[1];
      for (int64_t x = 0; x < count; ++x) row[x * channels_ + c] += to_compute(plane[x * map.stride[3]]);
    }
  }

  OutputGradient gradient_;
  int64_t channels_;
  std::vector<T> by_mean_, by_var_, bias_, mean_;
};

}  // namespace
}  // namespace fastgan::cpu
