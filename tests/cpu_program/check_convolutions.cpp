// Which convolutions are checked: sizes about the width of vectors and about the blocks that kernels work in.
#include <algorithm>

#include "checks.h"
#include "convolution_case.h"

namespace fastgan::test {
namespace {

constexpr ElementType kTypes[] = {ElementType::kFloat, ElementType::kBFloat16, ElementType::kHalf,
                                  ElementType::kDouble};
constexpr Activation kActivations[] = {Activation::kNone, Activation::kLeakyRelu, Activation::kRelu};

// What does not decide the algorithm is drawn.
ConvolutionCase drawn(Random& random, const Convolution& shape, int64_t images, ElementType type) {
  const int64_t rows[] = {0, 1, images};
  ConvolutionCase one;
  one.shape = shape;
  one.images = images;
  one.type = type;
  one.layout = random.one_of(kLayouts);
  one.activation = random.one_of(kActivations);
  one.scale_rows = random.one_of(rows);
  one.shift_rows = random.one_of(rows);
  one.bias = random.integer(0, 1) == 1;
  one.statistics = random.integer(0, 1) == 1;
  one.grad_mean = random.integer(0, 1) == 1;
  one.grad_var = random.integer(0, 1) == 1;
  one.grad_output = random.integer(0, 3) > 0 || !one.grad_var;
  one.weight_by_pixel = random.integer(0, 2) == 0;
  return one;
}

class Sweep {
 public:
  explicit Sweep(bool thorough) : thorough_(thorough) {}

  // float always, and one of the other types.
  void add(const Convolution& shape, int64_t images) {
    if (std::min(shape.out_size[0], shape.out_size[1]) < 1) return;
    if (!thorough_ && ++added_ % 7 != 0) return;
    check_convolution(drawn(random_, shape, images, ElementType::kFloat));
    check_convolution(drawn(random_, shape, images, kTypes[1 + turn_++ % 3]));
  }

  // What takes the definition long.
  void add_float(const Convolution& shape, int64_t images) {
    check_convolution(drawn(random_, shape, images, ElementType::kFloat));
  }

  // 4x4 of stride 2, the kernel of the generators: the transposed one from height x width, the other one to
  // it.
  void add_both(int64_t from, int64_t to, int64_t height, int64_t width, int64_t images) {
    add(convolution(true, from, to, height, width, 4, 2, 1), images);
    add(convolution(false, from, to, 2 * height, 2 * width, 4, 2, 1), images);
  }

  void channels() {
    for (const int64_t c :
         {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 127, 128, 129}) {
      for (const int64_t other : {3, 34}) {
        add_both(c, other, 3, 2, 2);
        add_both(other, c, 2, 4, 1);
      }
    }
  }

  void map_sizes() {
    for (int64_t height = 1; height <= 6; ++height) {
      for (const int64_t width : {1, 2, 3, 5, 8}) {
        add_both(33, 34, height, width, 2);
        add(convolution(false, 34, 33, 2 * height + 1, 2 * width, 4, 2, 1), 2);
        add(convolution(false, 3, 5, height, width, 3, 1, 1), 2);
        add(convolution(false, 5, 3, height, width, 3, 2, 1), 2);
        add(convolution(true, 6, 7, height, width, 3, 2, 1, 1), 2);
      }
    }
  }

  // Rows about as long as a vector, to few channels: pixels are the lanes there.
  void widths() {
    for (const int64_t width : {7, 8, 9, 15, 16, 17, 31, 32, 33}) {
      for (int64_t few = 1; few <= 5; ++few) {
        const int64_t padding = few % 2 == 0 ? 3 : 1;
        add(convolution(true, few == 2 ? 65 : 8 + few, few, 2 + padding, width, 4, 2, padding), 2);
        add(convolution(false, few, 9, 4, 2 * width, 4, 2, 1), 1);
      }
    }
  }

  // Tiles of the minimal algorithm: groups of 64, chunks of 48, bands of 128, blocks of 64 channels.
  void minimal_blocks() {
    for (const int64_t tiles : {23, 24, 25, 47, 48, 49, 63, 64, 65, 127, 128, 129}) {
      add(convolution(true, 33, 32, 2 * tiles, 2, 4, 2, 1), 1);
      add(convolution(false, 32, 33, 8, 4 * tiles, 4, 2, 1), 1);
    }
    for (const int64_t images : {3, 4, 5, 15, 16, 17}) add_both(32, 33, 4, 4, images);
    for (const int64_t channels : {63, 64, 65, 129}) add_both(channels, 40, 4, 4, 2);
    add_both(70, 36, 19, 17, 1);
    add_both(40, 36, 23, 9, 2);
    add(convolution(true, 40, 36, 8, 8, 4, 2, 2, 1), 2);
    add(convolution(false, 40, 36, 17, 16, 4, 2, 2), 2);
    if (!thorough_) return;
    add_float(convolution(true, 600, 33, 4, 4, 4, 2, 1), 9);  // slabs of channels
    add_float(convolution(false, 33, 600, 8, 8, 4, 2, 1), 9);
    add_float(convolution(true, 34, 65, 16, 16, 4, 2, 1), 3);  // chunks of the weight gradient
    add_float(convolution(false, 65, 34, 32, 32, 4, 2, 1), 3);
  }

  // Outputs about a block of 96, runs of 256 products, groups of images; the generators' first layer.
  void direct_blocks() {
    for (const int64_t pixels : {1, 2, 5, 6, 7, 8, 9, 95, 96, 97, 191, 192, 193}) {
      add(convolution(false, 4, 17, 1, pixels, 3, 1, 1), 1);
      add(convolution(false, 3, 16, pixels, 1, 1, 1, 0), 1);
    }
    for (const int64_t channels : {63, 64, 65, 127, 128, 129, 257}) {
      add(convolution(false, channels, 20, 4, 3, 4, 1, 0), 2);
      add(convolution(true, channels, 20, 1, 1, 4, 1, 0), 3);
      add(convolution(true, channels, 33, 2, 3, 4, 1, 1), 2);
    }
    for (const int64_t images : {5, 9, 13, 33}) add(convolution(false, 16, 18, 24, 20, 5, 3, 2), images);
    add(convolution(true, 2, 3, 4, 4, 3, 3, 0), 3);   // strides as long as the kernel,
    add(convolution(true, 5, 4, 3, 4, 2, 3, 0), 3);   // and longer: outputs that no tap reaches
    add(convolution(false, 2, 2, 3, 3, 3, 1, 4), 2);  // whole taps outside the image
    add(convolution(true, 5, 33, 7, 7, 7, 2, 3, 1), 2);
    if (thorough_) add_float(convolution(false, 3, 8, 80, 80, 3, 2, 1), 40);  // chunks of the weight gradient
  }

  void empty_batch() {
    add_both(33, 34, 4, 4, 0);
    add_both(5, 3, 9, 17, 0);
    add(convolution(false, 3, 5, 4, 4, 3, 1, 1), 0);
  }

  // One shape of every algorithm.
  void special_numbers() {
    const Convolution shapes[] = {
        convolution(true, 40, 48, 7, 10, 4, 2, 1), convolution(false, 40, 48, 14, 20, 4, 2, 1),
        convolution(true, 40, 3, 7, 19, 4, 2, 1),  convolution(false, 3, 40, 14, 38, 4, 2, 1),
        convolution(false, 5, 6, 7, 6, 3, 1, 1),   convolution(true, 20, 18, 1, 1, 4, 1, 0)};
    for (const Convolution& shape : shapes) {
      for (const Special special :
           {Special::kInput, Special::kWeight, Special::kScale, Special::kGradient, Special::kHuge}) {
        ConvolutionCase one = drawn(random_, shape, 3,
                                    special == Special::kHuge ? ElementType::kFloat : random_.one_of(kTypes));
        one.special = special;
        one.grad_output = true;
        one.scale_rows = 3;
        if (special == Special::kHuge) {
          one.activation = Activation::kNone;
          one.scale_rows = one.shift_rows = 0;
          one.grad_mean = one.grad_var = one.bias = false;
        }
        check_convolution(one);
        if (special != Special::kWeight) continue;
        one.weight_by_pixel = !one.weight_by_pixel;  // packed in another way
        check_convolution(one);
      }
    }
  }

  void anything(int count) {
    for (int i = 0; i < count; ++i) {
      Convolution shape{random_.integer(1, 35),    random_.integer(1, 35), {}, {}, {}, {}, {},
                        random_.integer(0, 1) == 1};
      for (int axis = 0; axis < 2; ++axis) {
        const int64_t size = random_.integer(1, 9), kernel = random_.integer(1, 5),
                      stride = random_.integer(1, 3);
        const int64_t padding = random_.integer(0, 3);
        shape.in_size[axis] = size, shape.kernel[axis] = kernel, shape.stride[axis] = stride;
        shape.padding[axis] = padding;
        const int64_t extra = shape.transposed ? random_.integer(0, stride - 1) : 0,
                      span = size + 2 * padding - kernel;
        shape.out_size[axis] = shape.transposed ? (size - 1) * stride - 2 * padding + kernel + extra
                               : span < 0       ? 0
                                                : span / stride + 1;
      }
      add(shape, random_.integer(1, 4));
    }
  }

 private:
  bool thorough_;
  int added_ = 0, turn_ = 0;
  Random random_{1};
};

}  // namespace

void check_convolutions(bool thorough) {
  Sweep sweep(thorough);
  sweep.channels();
  sweep.map_sizes();
  sweep.widths();
  sweep.minimal_blocks();
  sweep.direct_blocks();
  sweep.empty_batch();
  sweep.special_numbers();
  sweep.anything(thorough ? 100 : 35);
}

}  // namespace fastgan::test
