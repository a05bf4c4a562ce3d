// The input gradient of affine_act_conv: the other convolution of dy, and what is done with its sums dz. For
// sources of one capability.
//
// Needs before it: <algorithm>, <vector>, cpu/vector_sums.h, cpu/correlate.h.

namespace fastgan::cpu {
namespace {

// dv = dz * act'(v), dx = scale * dv; the sums of dv * x and of dv, per (image, channel), in double.
template <class In, class T>
class InputGradFinish {
 public:
  static constexpr bool kStores = false;

  explicit InputGradFinish(const AffineActConvInputGradArguments& a)
      : input_(a.input),
        affine_(a.affine, a.shape.out_channels),
        d_input_(static_cast<In*>(a.d_input)),
        channels_(a.shape.out_channels),
        width_(a.shape.out_size[1]),
        pixels_(a.shape.out_pixels()),
        has_rows_(input_.stride[1] == 1 && input_.stride[2] == width_ * input_.stride[3]),
        needs_v_(affine_.activation() != Activation::kNone),
        needs_x_(needs_v_ || a.d_scale != nullptr),
        by_scale_(sums(a, a.d_scale)),
        by_shift_(sums(a, a.d_shift)) {}

  void pixels(int64_t panel, const Pixel* pixels, int64_t count, const T* sums) const {
    const int64_t used = std::min(kPanel, channels_ - panel * kPanel);
    const auto take = [&](auto activation) {
      if (used == kPanel && (has_rows_ || !needs_x_)) {
        whole_panel<decltype(activation)::value>(panel, pixels, count, sums);
      } else {
        each_pixel<decltype(activation)::value>(panel, used, pixels, count, sums);
      }
    };
    switch (affine_.activation()) {
      case Activation::kLeakyRelu:
        return take(Constant<Activation::kLeakyRelu>());
      case Activation::kRelu:
        return take(Constant<Activation::kRelu>());
      default:
        return take(Constant<Activation::kNone>());
    }
  }

  void row(int64_t image, int64_t y, int64_t first_x, int64_t count, const T* sums) const {
    T padded_sums[kTile<T>] = {};
    for (int64_t i = 0; i < count; ++i, sums += channels_) {
      std::copy_n(sums, channels_, padded_sums);
      const Pixel pixel{image, 0, 0, 0, image * pixels_ + y * width_ + first_x + i};
      pixels(0, &pixel, 1, padded_sums);
    }
  }

  void panel(int64_t, int64_t, int64_t) const {}

  // d_scale and d_shift from the sums per (image, channel), images added in order where one row serves all.
  void store(const AffineActConvInputGradArguments& a) const {
    store_rows(by_scale_, a.affine.scale, a.images, static_cast<T*>(a.d_scale));
    store_rows(by_shift_, a.affine.shift, a.images, static_cast<T*>(a.d_shift));
  }

 private:
  std::vector<double> sums(const AffineActConvInputGradArguments& a, const void* wanted) const {
    return std::vector<double>(wanted == nullptr ? 0 : static_cast<size_t>(a.images * padded()), 0.0);
  }

  int64_t padded() const { return panels(channels_) * kPanel; }

  template <Activation activation>
  void whole_panel(int64_t panel, const Pixel* pixels, int64_t count, const T* sums) const {
    for (int64_t begin = 0, end; begin < count; begin = end) {
      for (end = begin + 1; end < count && pixels[end].image == pixels[begin].image;) ++end;
      for (int64_t k = 0; k < kPanel; k += kLanes<T>) {
        const T* const from = sums + begin * kTile<T> + k;
        if (by_scale_.empty() && by_shift_.empty()) {
          one_vector<activation, false>(panel * kPanel + k, pixels + begin, pixels + end, from);
        } else {
          one_vector<activation, true>(panel * kPanel + k, pixels + begin, pixels + end, from);
        }
      }
    }
  }

  // A vector of channels of some pixels of one image.
  template <Activation activation, bool with_sums>
  void one_vector(int64_t channel, const Pixel* pixel, const Pixel* last, const T* sums) const {
    const int64_t image = pixel->image;
    const Vector<T> scale = read_vector(affine_.scale(image) + channel);
    const Vector<T> shift = read_vector(affine_.shift(image) + channel);
    const In* const input = static_cast<const In*>(input_.data) + image * input_.stride[0] + channel;
    double unused[kLanes<T>] = {};
    const auto place = [&](std::vector<double>& all) {
      return all.empty() ? unused : all.data() + image * padded() + channel;
    };
    double *const to_scale = place(by_scale_), *const to_shift = place(by_shift_);
    VectorSums<T> by_scale, by_shift;
    if constexpr (with_sums) by_scale.load(to_scale), by_shift.load(to_shift);
    for (; pixel != last; ++pixel, sums += kTile<T>) {
      Vector<T> dv = read_vector(sums), x = {};
      if (needs_x_) x = read_stored<T>(input + (pixel->output - image * pixels_) * input_.stride[3]);
      const Vector<T> v = scale * x + shift;
      if constexpr (activation == Activation::kLeakyRelu) dv = v > T(0) ? dv : dv * affine_.negative_slope();
      if constexpr (activation == Activation::kRelu) dv = v <= T(0) ? Vector<T>{} : dv;
      if (d_input_ != nullptr) {
        write_stored<In, T>(d_input_ + pixel->output * channels_ + channel, scale * dv);
      }
      if constexpr (with_sums) {
        const Doubles<T> exact = Doubles<T>::of(dv);
        by_scale.add_product(exact, Doubles<T>::of(x));
        by_shift.add(exact);
      }
    }
    if constexpr (with_sums) by_scale.store(to_scale), by_shift.store(to_shift);
  }

  template <Activation activation>
  void each_pixel(int64_t panel, int64_t used, const Pixel* pixels, int64_t count, const T* sums) const {
    for (int64_t i = 0; i < count; ++i, sums += kTile<T>) {
      const int64_t image = pixels[i].image;
      const T* const scale = affine_.scale(image) + panel * kPanel;
      const T* const shift = affine_.shift(image) + panel * kPanel;
      T x[kPanel] = {}, dv[kPanel];
      if (needs_x_) read(pixels[i], panel, used, x);
      for (int64_t k = 0; k < kPanel; ++k) dv[k] = sums[k];
      if (needs_v_) {
        for (int64_t k = 0; k < used; ++k) {
          dv[k] = activate_backward<activation>(dv[k], scale[k] * x[k] + shift[k], affine_.negative_slope());
        }
      }
      if (d_input_ != nullptr) {
        In* const out = d_input_ + pixels[i].output * channels_ + panel * kPanel;
        for (int64_t k = 0; k < used; ++k) out[k] = Rounded<In>::from(scale[k] * dv[k]);
      }
      const int64_t at = image * padded() + panel * kPanel;
      if (!by_scale_.empty()) {
        double* const to = by_scale_.data() + at;
        for (int64_t k = 0; k < kPanel; ++k) to[k] += static_cast<double>(dv[k]) * static_cast<double>(x[k]);
      }
      if (!by_shift_.empty()) {
        double* const to = by_shift_.data() + at;
        for (int64_t k = 0; k < kPanel; ++k) to[k] += static_cast<double>(dv[k]);
      }
    }
  }

  void read(const Pixel& pixel, int64_t panel, int64_t used, T* x) const {
    const int64_t at = pixel.output - pixel.image * pixels_;
    const In* const from = static_cast<const In*>(input_.data) + pixel.image * input_.stride[0] +
                           panel * kPanel * input_.stride[1] + at / width_ * input_.stride[2] +
                           at % width_ * input_.stride[3];
    if (input_.stride[1] == 1 && used == kPanel) {
      for (int64_t k = 0; k < kPanel; ++k) x[k] = to_compute(from[k]);
    } else {
      for (int64_t k = 0; k < used; ++k) x[k] = to_compute(from[k * input_.stride[1]]);
    }
  }

  void store_rows(const std::vector<double>& sums, const Rows& rows, int64_t images, T* out) const {
    if (out == nullptr) return;
    const int64_t row_count = rows.row_stride == 0 ? 1 : images;
    const int64_t images_per_row = rows.row_stride == 0 ? images : 1;
    for (int64_t row = 0; row < row_count; ++row) {
      for (int64_t c = 0; c < channels_; ++c) {
        double total = 0;
        for (int64_t i = 0; i < images_per_row; ++i) total += sums[(row * images_per_row + i) * padded() + c];
        out[row * channels_ + c] = static_cast<T>(total);
      }
    }
  }

  FeatureMap input_;
  Affine<T> affine_;
  In* d_input_;
  int64_t channels_, width_, pixels_;
  bool has_rows_;  // of pixels, each `stride[3]` after the one before it
  bool needs_v_, needs_x_;
  mutable std::vector<double> by_scale_, by_shift_;  // [image][channel], each written by the item that has it
};

void run_input_grad(const AffineActConvInputGradArguments& a, ParallelFor pool) {
  with_types(a.type, [&](auto types) {
    using In = typename decltype(types)::In;
    using T = typename decltype(types)::T;
    const GradientRows<In, T> rows(a.gradient, a.shape.in_channels);
    const InputGradFinish<In, T> finish(a);
    correlate<T>(a.shape, a.images, a.weight, pool, rows, finish);
    finish.store(a);
  });
}

}  // namespace
}  // namespace fastgan::cpu
