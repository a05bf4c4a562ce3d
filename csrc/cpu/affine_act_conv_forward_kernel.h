// affine_act_conv, forward: what is done with the sums of a panel. For sources of one capability.
//
// Needs before it: <algorithm>, <vector>, common/moments.h, cpu/vector_sums.h, cpu/correlate.h.

namespace fastgan::cpu {
namespace {

// Count, mean and sum of squared deviations of a panel's channels: see common/moments.h.
struct PanelMoments {
  double count = 0, mean[kPanel] = {}, squares[kPanel] = {};

  // Of `number` numbers per channel, the sums of their distances from `pivot` and of the squares of these.
  template <class T>
  void add(int64_t number, const T* pivot, const double* sum, const double* square) {
    const double part = static_cast<double>(number), total = count + part;
    for (int64_t k = 0; k < kPanel; ++k) {
      const double distance = sum[k] / part;
      const double gap = static_cast<double>(pivot[k]) + distance - mean[k];
      const double own = square[k] - sum[k] * distance;
      mean[k] += gap * (part / total);
      squares[k] += (own < 0 ? 0 : own) + gap * gap * (count * part / total);
    }
    count = total;
  }
};

// Adds the bias and stores; takes the statistics of what is stored, per (image, channel).
template <class In, class T>
class ForwardFinish {
 public:
  // Nothing but the bias is added before a number is stored: whoever has whole panels may do both.
  static constexpr bool kStores = std::is_same_v<In, T>;
  In* output(int64_t panel, int64_t output) const { return out_ + output * channels_ + panel * kPanel; }
  const T* bias(int64_t panel) const { return bias_.data() + panel * kPanel; }

  explicit ForwardFinish(const AffineActConvArguments& a)
      : out_(static_cast<In*>(a.output)),
        channels_(a.shape.out_channels),
        pixels_(a.shape.out_pixels()),
        width_(a.shape.out_size[1]),
        bias_(static_cast<size_t>(panels(channels_) * kPanel), T(0)),
        moments_(a.mean == nullptr ? 0 : static_cast<size_t>(a.images * panels(channels_))) {
    const In* const bias = static_cast<const In*>(a.bias);
    for (int64_t c = 0; bias != nullptr && c < channels_; ++c) bias_[c] = to_compute(bias[c]);
    if (channels_ > kNarrow) return;
    for (int64_t i = 0; i < kRowPixels * channels_; ++i) bias_row_.push_back(bias_[i % channels_]);
  }

  void pixels(int64_t panel, const Pixel* pixels, int64_t count, const T* sums) const {
    const int64_t used = std::min(kPanel, channels_ - panel * kPanel);
    if (used < kPanel) {
      const T* const bias = this->bias(panel);
      for (int64_t i = 0; i < count; ++i, sums += kTile<T>) {
        In* const out = output(panel, pixels[i].output);
        for (int64_t k = 0; k < used; ++k) out[k] = Rounded<In>::from(sums[k] + bias[k]);
      }
    } else if (moments_.empty()) {
      for (int64_t i = 0; i < count; ++i, sums += kTile<T>) {
        for (int64_t k = 0; k < kPanel; k += kLanes<T>) store(panel, k, pixels[i], sums + k);
      }
    } else {
      for (int64_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && pixels[end].image == pixels[begin].image;) ++end;
        store_and_count(panel, pixels + begin, end - begin, sums + begin * kTile<T>);
      }
    }
  }

  void row(int64_t image, int64_t y, int64_t first_x, int64_t count, const T* sums) const {
    In* const out = out_ + (image * pixels_ + y * width_ + first_x) * channels_;
    for (int64_t i = 0; i < count * channels_; ++i) out[i] = Rounded<In>::from(sums[i] + bias_row_[i]);
  }

  // Statistics of a panel that did not come, or not whole, through `pixels`.
  void panel(int64_t panel, int64_t first, int64_t last) const {
    if (moments_.empty()) return;
    const int64_t used = std::min(kPanel, channels_ - panel * kPanel);
    for (int64_t image = first; image < last; ++image) {
      PanelMoments& to = moments(image, panel);
      if (to.count > 0) continue;
      Moments moments[kPanel];
      channel_moments<In>(output(panel, image * pixels_), pixels_, channels_, bias(panel), used, moments);
      to.count = static_cast<double>(pixels_);
      for (int64_t k = 0; k < used; ++k) to.mean[k] = moments[k].mean, to.squares[k] = moments[k].squares;
    }
  }

  // Merged in the images' order.
  void statistics(int64_t images, T* mean, T* var) const {
    for (int64_t c = 0; c < channels_; ++c) {
      Moments total;
      for (int64_t image = 0; image < images; ++image) {
        const PanelMoments& part = moments(image, c / kPanel);
        merge(total, {part.count, part.mean[c % kPanel], part.squares[c % kPanel]});
      }
      mean[c] = static_cast<T>(mean_of(total));
      var[c] = static_cast<T>(variance_of(total));
    }
  }

 private:
  static constexpr int64_t kRowPixels = 2 * kLanes<T>;

  PanelMoments& moments(int64_t image, int64_t panel) const {
    return moments_[image * panels(channels_) + panel];
  }

  // A vector of a pixel's channels; returns what is stored.
  Vector<T> store(int64_t panel, int64_t k, const Pixel& pixel, const T* sums) const {
    const Vector<T> value = read_vector(sums) + read_vector(bias(panel) + k);
    In* const out = output(panel, pixel.output) + k;
    write_stored<In, T>(out, value);
    if constexpr (std::is_same_v<In, T>) return value;
    return read_stored<T>(out);
  }

  // Pixels of one image. The pivot is one of the numbers: what is taken off the squares is no more than they
  // are.
  void store_and_count(int64_t panel, const Pixel* pixels, int64_t count, const T* sums) const {
    alignas(64) T pivots[kPanel];
    alignas(64) double totals[kPanel], squares[kPanel];
    for (int64_t k = 0; k < kPanel; k += kLanes<T>) {
      const Vector<T> bias = read_vector(this->bias(panel) + k);
      const Vector<T> pivot = store(panel, k, pixels[0], sums + k) - bias;
      const Doubles<T> from = Doubles<T>::of(pivot);
      VectorSums<T> total, square;
      for (int64_t i = 1; i < count; ++i) {
        const Vector<T> value = store(panel, k, pixels[i], sums + i * kTile<T> + k) - bias;
        const Doubles<T> distance = Doubles<T>::of(value) - from;
        total.add(distance);
        square.add_product(distance, distance);
      }
      write_vector(pivots + k, pivot);
      total.store(totals + k), square.store(squares + k);
    }
    moments(pixels->image, panel).add(count, pivots, totals, squares);
  }

  In* out_;
  int64_t channels_, pixels_, width_;
  std::vector<T> bias_, bias_row_;
  mutable std::vector<PanelMoments> moments_;  // [image][panel], each written by the one item that has it
};

void run_forward(const AffineActConvArguments& a, ParallelFor pool) {
  with_types(a.type, [&](auto types) {
    using In = typename decltype(types)::In;
    using T = typename decltype(types)::T;
    const ActivatedRows<In, T> rows(a.input, a.affine, a.shape.in_channels);
    const ForwardFinish<In, T> finish(a);
    correlate<T>(a.shape, a.images, a.weight, pool, rows, finish);
    if (a.mean != nullptr) finish.statistics(a.images, static_cast<T*>(a.mean), static_cast<T*>(a.var));
  });
}

}  // namespace
}  // namespace fastgan::cpu
