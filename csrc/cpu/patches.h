// The patches that the outputs of a convolution of few channels read, as rows of numbers: where a whole patch
// is short, it is what sums run over. For kernel headers, as vector.h is.
//
// Needs before it: <algorithm>, cpu/affine_act_conv.h, cpu/vector.h.

namespace fastgan::cpu {
namespace {

constexpr int64_t kPatch = 64;  // numbers of a patch at most

template <class T>
class Patches {
 public:
  // shape: a plain convolution.
  explicit Patches(const Convolution& shape)
      : shape_(shape),
        height_((shape.out_size[0] - 1) * shape.stride[0] + shape.kernel[0]),
        width_((shape.out_size[1] - 1) * shape.stride[1] + shape.kernel[1]) {}

  // A row of the kernel is copied as kPanel numbers, of which the next row covers what is too much.
  static bool fit(const Convolution& shape) {
    const int64_t row = shape.kernel[1] * shape.in_channels;
    return !shape.transposed && row <= kPanel && (shape.kernel[0] - 1) * row + kPanel <= kPatch &&
           shape.out_pixels() > 0;
  }

  int64_t length() const { return shape_.taps() * shape_.in_channels; }

  // Numbers of an image with zeros around it, which the caller must have set to 0 once.
  int64_t padded_size() const { return height_ * row_size() + kPanel; }

  template <class Rows>
  void load(const Rows& rows, int64_t image, T* padded) const {
    const int64_t count = std::min(shape_.in_size[1], width_ - shape_.padding[1]);
    const int64_t last = std::min(shape_.in_size[0], height_ - shape_.padding[0]);
    for (int64_t y = 0; count > 0 && y < last; ++y) {
      rows.read(image, y, 0, count,
                padded + (y + shape_.padding[0]) * row_size() + shape_.padding[1] * shape_.in_channels);
    }
  }

  // The patches of outputs first_x .. first_x + count - 1 of row y, to [count][kPatch], numbers behind a
  // patch being anything.
  void make(const T* padded, int64_t y, int64_t first_x, int64_t count, T* to) const {
    const int64_t row = shape_.kernel[1] * shape_.in_channels, step = shape_.stride[1] * shape_.in_channels;
    const T* from = padded + y * shape_.stride[0] * row_size() + first_x * step;
    for (int64_t x = 0; x < count; ++x, from += step, to += kPatch) {
      for (int64_t k = 0; k < shape_.kernel[0]; ++k) {
        for (int64_t i = 0; i < kPanel; i += kLanes<T>) {
          write_vector(to + k * row + i, read_vector(from + k * row_size() + i));
        }
      }
    }
  }

 private:
  int64_t row_size() const { return width_ * shape_.in_channels; }

  Convolution shape_;
  int64_t height_, width_;
};

}  // namespace
}  // namespace fastgan::cpu
