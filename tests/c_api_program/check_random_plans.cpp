// Whole files with whatever steps the format allows: each loads, and no pool changes a byte of its images.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "checks.h"

namespace fastgan::test {
namespace {

constexpr int64_t kLargest = 3000;  // numbers of a row

std::string list(std::initializer_list<int64_t> numbers) {
  std::string text;
  for (const int64_t number : numbers) text += (text.empty() ? "[" : ", ") + std::to_string(number);
  return text + "]";
}

// Writes a file step by step.
class Writer {
 public:
  explicit Writer(uint64_t seed) : random_(seed), classes_(integer(random_, 0, 3)) {
    size_ = latent_ = integer(random_, 1, 40);
    map_[0] = map_[1] = 1, map_[2] = size_;
    for (int64_t i = integer(random_, 1, 8); i > 0; --i) add_step();
    convolve();  // so that the row is a map
  }

  Bytes file() const {
    const std::string plan =
        "{\\\"format\\\": \\\"frozen/1\\\", \\\"fastgan\\\": \\\"test\\\", \\\"input_shape\\\": " +
        list({latent_}) + ", \\\"image\\\": " + list({map_[2], map_[0], map_[1]}) +
        ", \\\"num_classes\\\": " + std::to_string(classes_) +
        ", \\\"output\\\": \\\"float\\\", \\\"batch_invariant\\\": true, \\\"precision\\\": "
        "\\\"fp32\\\", \\\"steps\\\": [" +
        steps_ + "]}";
    const std::string header = "{\"__metadata__\": {\"fastgan\": \"" + plan + "\"}" + entries_ + "}";
    const uint64_t size = header.size();
    Bytes bytes(sizeof size);
    std::memcpy(bytes.data(), &size, sizeof size);
    bytes.insert(bytes.end(), header.begin(), header.end());
    bytes.insert(bytes.end(), data_.begin(), data_.end());
    return bytes;
  }

 private:
  void add_step() {
    switch (integer(random_, 0, 5)) {
      case 0:
        return affine();
      case 1:
        return activation();
      case 2:
        return permutation();
      default:
        return convolve();
    }
  }

  // A step from its fields, "name": value, quotes as they stand in a text within a text.
  void begin(const std::string& kind) {
    steps_ += (steps_.empty() ? "" : ", ") + ("{\\\"kind\\\": \\\"" + kind + "\\\"");
  }
  void field(const std::string& name, const std::string& value) {
    steps_ += ", \\\"" + name + "\\\": " + value;
  }
  void end() { steps_ += "}"; }

  // A tensor of the file, and its name as a field.
  template <class T>
  void tensor(const std::string& name, const std::string& type, std::initializer_list<int64_t> shape,
              const std::vector<T>& numbers) {
    const std::string key = "t" + std::to_string(tensors_++);
    const size_t first = data_.size(), bytes = numbers.size() * sizeof(T);
    data_.resize(first + bytes);
    std::memcpy(data_.data() + first, numbers.data(), bytes);
    entries_ +=
        ", \"" + key + "\": {\"dtype\": \"" + type + "\", \"shape\": " + list(shape) +
        ", \"data_offsets\": " + list({static_cast<int64_t>(first), static_cast<int64_t>(first + bytes)}) +
        "}";
    field(name, "\\\"" + key + "\\\"");
  }

  std::vector<float> floats(int64_t count) {
    std::vector<float> numbers(static_cast<size_t>(count));
    for (float& number : numbers) number = static_cast<float>(integer(random_, -100, 100)) / 100;
    if (count > 0 && integer(random_, 0, 30) == 0) {
      constexpr float kOdd[] = {std::numeric_limits<float>::infinity(),
                                std::numeric_limits<float>::quiet_NaN(),
                                std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max()};
      numbers[static_cast<size_t>(integer(random_, 0, count - 1))] = kOdd[integer(random_, 0, 3)];
    }
    return numbers;
  }

  // The row as a map of one of its divisors as channels.
  void take_as_map() {
    if (integer(random_, 0, 2) > 0 && map_[0] * map_[1] * map_[2] == size_) return;
    std::vector<int64_t> divisors;
    for (int64_t i = 1; i <= size_; ++i) {
      if (size_ % i == 0) divisors.push_back(i);
    }
    const auto any = [&](int64_t of) {
      int64_t divisor;
      do {
        divisor =
            divisors[static_cast<size_t>(integer(random_, 0, static_cast<int64_t>(divisors.size()) - 1))];
      } while (of % divisor != 0);
      return divisor;
    };
    map_[2] = any(size_);
    map_[0] = any(size_ / map_[2]);
    map_[1] = size_ / map_[2] / map_[0];
  }

  void convolve() {
    take_as_map();
    int64_t kernel[2], stride[2], padding[2], result[2];
    bool transposed;
    const bool typical = integer(random_, 0, 1) == 0;  // as the layers of a GAN are
    int64_t channels = integer(random_, 0, 3) == 0 ? integer(random_, 1, 70) : integer(random_, 1, 5);
    do {
      transposed = integer(random_, 0, 1) == 0;
      channels = std::max<int64_t>(1, channels - 1);
      for (int axis = 0; axis < 2; ++axis) {
        kernel[axis] = typical ? 4 : integer(random_, 1, 5);
        stride[axis] = typical ? 2 : integer(random_, 1, 5);
        padding[axis] = typical ? 1 : integer(random_, 0, 4);
        const int64_t span = map_[axis] + 2 * padding[axis] - kernel[axis];
        result[axis] = transposed ? (map_[axis] - 1) * stride[axis] - 2 * padding[axis] + kernel[axis] +
                                        integer(random_, 0, stride[axis] - 1)
                       : span < 0 ? 0
                                  : span / stride[axis] + 1;
        if (channels == 1 && result[axis] < 1 && typical) {  // what always fits
          transposed = false;
          kernel[axis] = stride[axis] = 1, padding[axis] = 0, result[axis] = map_[axis];
        }
      }
    } while (!good(kernel, stride, padding, result, transposed, channels));
    begin("convolution");
    const int64_t in = map_[2], count = in * channels * kernel[0] * kernel[1];
    const int64_t outer = transposed ? in : channels, inner = transposed ? channels : in;
    tensor("weight", "F32", {outer, inner, kernel[0], kernel[1]}, floats(count));
    if (integer(random_, 0, 1) == 0) {
      tensor("bias", "F32", {channels}, floats(channels));
    } else {
      field("bias", "null");
    }
    field("source", list({map_[0], map_[1], in}));
    field("result", list({result[0], result[1], channels}));
    field("kernel", list({kernel[0], kernel[1]}));
    field("stride", list({stride[0], stride[1]}));
    field("padding", list({padding[0], padding[1]}));
    field("transposed", transposed ? "true" : "false");
    end();
    map_[0] = result[0], map_[1] = result[1], map_[2] = channels;
    size_ = map_[0] * map_[1] * map_[2];
  }

  // Whether the convolution's geometry is one: each axis consistent, and nothing too large.
  bool good(const int64_t* kernel, const int64_t* stride, const int64_t* padding, const int64_t* result,
            bool transposed, int64_t channels) const {
    for (int axis = 0; axis < 2; ++axis) {
      const int64_t span = map_[axis] + 2 * padding[axis] - kernel[axis];
      const int64_t least = (map_[axis] - 1) * stride[axis] - 2 * padding[axis] + kernel[axis];
      if (result[axis] < 1) return false;
      if (transposed && (result[axis] < least || result[axis] >= least + stride[axis])) return false;
      if (!transposed && (span < 0 || span / stride[axis] + 1 != result[axis])) return false;
    }
    return result[0] * result[1] * channels <= kLargest;
  }

  void affine() {
    take_as_map();
    const int64_t classes = integer(random_, 0, 1) * classes_, rows = std::max<int64_t>(1, classes);
    begin("affine");
    tensor("scale", "F32", {rows, map_[2]}, floats(rows * map_[2]));
    tensor("shift", "F32", {rows, map_[2]}, floats(rows * map_[2]));
    field("channels", std::to_string(map_[2]));
    field("classes", std::to_string(classes));
    end();
  }

  void activation() {
    static const char* const kNames[] = {"leaky_relu", "relu", "tanh"};
    begin("activation");
    field("activation", std::string("\\\"") + kNames[integer(random_, 0, 2)] + "\\\"");
    field("negative_slope", "2.5e-1");
    end();
  }

  void permutation() {
    std::vector<int64_t> index(static_cast<size_t>(size_));
    for (int64_t& place : index) place = integer(random_, 0, size_ - 1);
    begin("permutation");
    tensor("index", "I64", {size_}, index);
    field("size", std::to_string(size_));
    end();
  }

  Random random_;
  int64_t classes_, latent_, size_, map_[3], tensors_ = 0;
  std::string steps_, entries_;
  Bytes data_;
};

}  // namespace

void check_random_plans(int plans) {
  for (int i = 0; i < plans; ++i) {
    const std::string name = "random plan " + std::to_string(i);
    const Bytes file = Writer(static_cast<uint64_t>(i)).file();
    for (const char* capability : {"default", "avx2", "avx512"}) {
      const Loaded loaded(file, capability);
      if (loaded.status() == FASTGAN_BAD_ARGUMENT && std::strcmp(capability, "default") != 0) continue;
      if (loaded.status() != FASTGAN_OK) {
        fail(name + " is refused: " + loaded.message());
        continue;
      }
      const Bytes alone = loaded.images(0, 5, nullptr);
      if (loaded.images(0, 5, backwards()) != alone) fail(name + " depends on the pool");
      if (loaded.images(0, 5, three_threads()) != alone) fail(name + " depends on threads");
      passed();
    }
  }
}

}  // namespace fastgan::test
