// affine_act_conv, forward: what is done with the sums of a panel. For sources of one capability.
//
// Needs before it: <algorithm>, <vector>, common/moments.h, cpu/correlate.h.

namespace fastgan::cpu {
namespace {

// Adds the bias and stores; then takes the statistics of what was stored, per (image, channel).
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
        moments_(a.mean == nullptr ? 0 : static_cast<size_t>(a.images * channels_)) {
    const In* const bias = static_cast<const In*>(a.bias);
    for (int64_t c = 0; bias != nullptr && c < channels_; ++c) bias_[c] = to_compute(bias[c]);
    if (channels_ > kNarrow) return;
    for (int64_t i = 0; i < kRowPixels * channels_; ++i) bias_row_.push_back(bias_[i % channels_]);
  }

  void pixels(int64_t panel, const Pixel* pixels, int64_t count, const T* sums) const {
    const int64_t used = std::min(kPanel, channels_ - panel * kPanel);
    const T* const bias = this->bias(panel);
    for (int64_t i = 0; i < count; ++i, sums += kTile<T>) {
      In* const out = output(panel, pixels[i].output);
      if (used == kPanel) {
        for (int64_t k = 0; k < kPanel; k += kLanes<T>) {
          write_stored<In, T>(out + k, read_vector(sums + k) + read_vector(bias + k));
        }
      } else {
        for (int64_t k = 0; k < used; ++k) out[k] = Rounded<In>::from(sums[k] + bias[k]);
      }
    }
  }

  void row(int64_t image, int64_t y, int64_t first_x, int64_t count, const T* sums) const {
    In* const out = out_ + (image * pixels_ + y * width_ + first_x) * channels_;
    for (int64_t i = 0; i < count * channels_; ++i) out[i] = Rounded<In>::from(sums[i] + bias_row_[i]);
  }

  void panel(int64_t panel, int64_t first, int64_t last) const {
    if (moments_.empty()) return;
    const int64_t used = std::min(kPanel, channels_ - panel * kPanel);
    for (int64_t image = first; image < last; ++image) {
      const In* const out = out_ + image * pixels_ * channels_ + panel * kPanel;
      Moments* const moments = moments_.data() + image * channels_ + panel * kPanel;
      channel_moments<In>(out, pixels_, channels_, bias_.data() + panel * kPanel, used, moments);
    }
  }

  void statistics(int64_t images, T* mean, T* var) const {
    merge_parts(moments_.data(), images, channels_, mean, var);
  }

 private:
  static constexpr int64_t kRowPixels = 2 * kLanes<T>;

  In* out_;
  int64_t channels_, pixels_, width_;
  std::vector<T> bias_, bias_row_;
  mutable std::vector<Moments> moments_;  // [image][channel], each written by the one item that has it
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
