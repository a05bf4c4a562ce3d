// The weight gradient of affine_act_conv_weight_grad_kernel.h where the large map has few channels, as an
// image's colours: a product of matrices, of the patches of all pixels and the small map. For sources of one
// capability, as vector.h is.
//
// Rows of pixels are shared out to a fixed number of parts, each with sums of its own, which are added in
// order: the same bits for any number of threads. Zeros around an image make numbers of infinite ones that
// the definition does not have: where a sum is not finite all is done again directly.
//
// Needs before it: <vector>, cpu/affine_act_conv.h, cpu/patches.h, cpu/scratch.h, cpu/vector.h.

namespace fastgan::cpu {
namespace {

// Numbers of a patch that a micro-kernel takes, each with two vectors of the small map.
constexpr int kPatchRows = FASTGAN_VECTOR_BYTES == 64 ? 8 : 6;

// sums[row][lane] += patches [pixel][kPatch] times small [pixel][stride] for kPatchRows rows, two vectors.
template <class T>
__attribute__((noinline)) void multiply_patches(const T* patches, const T* small, int64_t stride,
                                                int64_t pixels, T* sums, int64_t sums_stride) {
  Vector<T> total[kPatchRows][2] = {};
  for (int64_t i = 0; i < pixels; ++i, patches += kPatch, small += stride) {
    const Vector<T> s0 = read_vector(small), s1 = read_vector(small + kLanes<T>);
#pragma GCC unroll 8
    for (int r = 0; r < kPatchRows; ++r) {
      const Vector<T> x = broadcast(patches[r]);
      total[r][0] += x * s0, total[r][1] += x * s1;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kPatchRows; ++r, sums += sums_stride) {
    write_vector(sums, read_vector(sums) + total[r][0]);
    write_vector(sums + kLanes<T>, read_vector(sums + kLanes<T>) + total[r][1]);
  }
}

template <class T>
class PatchWeightGrad {
 public:
  // shape: the plain convolution from the large map to the small one.
  PatchWeightGrad(const Convolution& shape, int64_t images)
      : shape_(shape),
        patches_(shape),
        rows_(images * shape.out_size[0]),
        parts_(std::min(kParts, rows_)),
        pitch_((shape.out_channels + 2 * kLanes<T> - 1) / (2 * kLanes<T>)*2 * kLanes<T>) {}

  // To [small channel][large channel][tap]. False if not all is finite: then `out` is not to be used.
  template <class Small, class Large, class In>
  bool run(ParallelFor pool, const Small& small, const Large& large, In* out) const {
    std::vector<T> sums(static_cast<size_t>(parts_ * part_size()), T(0));
    parallel_for(pool, parts_, /*grain=*/1, [&](int64_t begin, int64_t end) {
      const int64_t row_size = shape_.out_size[1] * shape_.out_channels + 2 * kLanes<T>;
      const int64_t patches_size = kRunPixels * kPatch + kPatchRows, padded = patches_.padded_size();
      const Scratch memory(static_cast<size_t>(row_size + patches_size + padded) * sizeof(T));
      const Work work{memory.as<T>(), memory.as<T>() + patches_size,
                      memory.as<T>() + patches_size + row_size};
      std::fill(work.patches, work.padded + padded, T(0));
      for (int64_t part = begin; part < end; ++part) {
        add_rows(small, large, part * rows_ / parts_, (part + 1) * rows_ / parts_, work,
                 sums.data() + part * part_size());
      }
    });
    const int64_t taps = shape_.taps();
    T zero = 0;
    for (int64_t s = 0; s < shape_.out_channels; ++s) {
      for (int64_t l = 0; l < shape_.in_channels; ++l) {
        for (int64_t tap = 0; tap < taps; ++tap) {
          const T* const from = sums.data() + (tap * shape_.in_channels + l) * pitch_ + s;
          T total = 0;
          for (int64_t part = 0; part < parts_; ++part) total += from[part * part_size()];
          out[(s * shape_.in_channels + l) * taps + tap] = Rounded<In>::from(total);
          zero += total * T(0);
        }
      }
    }
    return zero == T(0);
  }

 private:
  static constexpr int64_t kParts = 16;
  static constexpr int64_t kRunPixels = 64;  // summed before they are added to the rest

  struct Work {
    T* patches;  // [pixel][kPatch]
    T* row;      // of the small map
    T* padded;   // an image of the large one
  };

  // [number of a patch][pitch_]
  int64_t part_size() const {
    return (patches_.length() + kPatchRows - 1) / kPatchRows * kPatchRows * pitch_;
  }

  template <class Small, class Large>
  void add_rows(const Small& small, const Large& large, int64_t first, int64_t last, const Work& work,
                T* sums) const {
    int64_t loaded = -1;
    for (int64_t row = first; row < last; ++row) {
      const int64_t image = row / shape_.out_size[0], y = row % shape_.out_size[0];
      if (image != loaded) patches_.load(large, image, work.padded);
      loaded = image;
      small.read(image, y, 0, shape_.out_size[1], work.row);
      for (int64_t x = 0; x < shape_.out_size[1]; x += kRunPixels) {
        const int64_t count = std::min(kRunPixels, shape_.out_size[1] - x);
        patches_.make(work.padded, y, x, count, work.patches);
        for (int64_t c = 0; c < shape_.out_channels; c += 2 * kLanes<T>) {
          for (int64_t k = 0; k < patches_.length(); k += kPatchRows) {
            multiply_patches(work.patches + k, work.row + x * shape_.out_channels + c, shape_.out_channels,
                             count, sums + k * pitch_ + c, pitch_);
          }
        }
      }
    }
  }

  Convolution shape_;
  Patches<T> patches_;
  int64_t rows_, parts_, pitch_;
};

}  // namespace
}  // namespace fastgan::cpu
