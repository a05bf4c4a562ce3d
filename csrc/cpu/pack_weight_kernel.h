// Packing of weights. For sources of one capability, as vector.h is; what it writes is the same for all.
//
// Of a panel's numbers, those next to each other in the weight are turned, a square of vectors at a time,
// into vectors of output channels: numbers of one kernel where it is contiguous, as in NCHW, or of one tap
// where the input channels are. Weights are packed in every call, and a batch of one uses each number a few
// times only.
//
// Needs before it: <algorithm>, <atomic>, <cmath>, <cstring>, <type_traits>, <vector>, common/half.h,
// cpu/affine_act_conv.h, cpu/vector.h, cpu/feature_rows.h.

namespace fastgan::cpu {
namespace {

constexpr int64_t kSquareTaps = 16;  // of the kernels that are turned whole

// Rows become columns: in every step the lanes that differ in one bit of their number from the row's.
template <int distance, class T>
inline void swap_lanes(Vector<T> (&rows)[kLanes<T>]) {
  if constexpr (distance < kLanes<T>) {
    constexpr int kCount = kLanes<T>;
    typedef std::conditional_t<sizeof(T) == 8, int64_t, int32_t> Index;
    Vector<Index> low, high;
    for (int lane = 0; lane < kCount; ++lane) {
      const bool other = (lane & distance) != 0;
      low[lane] = other ? kCount + lane - distance : lane;
      high[lane] = other ? kCount + lane : lane + distance;
    }
#pragma GCC unroll 16
    for (int row = 0; row < kCount; ++row) {
      if (row & distance) continue;
      const Vector<T> a = rows[row], b = rows[row + distance];
      rows[row] = __builtin_shuffle(a, b, low);
      rows[row + distance] = __builtin_shuffle(a, b, high);
    }
    swap_lanes<2 * distance, T>(rows);
  }
}

// Where the taps of a weight are, and where they go.
struct PackedTaps {
  std::vector<int64_t> from;   // by place in the packed order, in elements of the weight
  std::vector<int64_t> place;  // by number in a contiguous kernel; empty where kernels are not
};

inline PackedTaps packed_taps(const Convolution& shape, const int64_t (&stride)[4]) {
  PackedTaps taps;
  for (const Phase& phase : phases(shape)) {
    for (int64_t y = 0; y < phase.y.taps; ++y) {
      for (int64_t x = 0; x < phase.x.taps; ++x) {
        taps.from.push_back((phase.y.kernel_first + y * phase.y.kernel_step) * stride[2] +
                            (phase.x.kernel_first + x * phase.x.kernel_step) * stride[3]);
      }
    }
  }
  const auto count = static_cast<int64_t>(taps.from.size());
  if (count != kSquareTaps || shape.taps() != kSquareTaps || stride[3] != 1 || stride[2] != shape.kernel[1]) {
    return taps;
  }
  taps.place.resize(kSquareTaps);
  for (int64_t t = 0; t < kSquareTaps; ++t) taps.place[taps.from[t]] = t;
  return taps;
}

template <class In, class T>
class PanelPacking {
 public:
  explicit PanelPacking(const PackWeightArguments& a)
      : taps_(packed_taps(a.shape, a.stride)),
        channels_(a.shape.in_channels),
        outputs_(a.shape.out_channels),
        weight_(static_cast<const In*>(a.weight)),
        packed_(static_cast<T*>(a.packed)) {
    std::copy(a.stride, a.stride + 4, stride_);
  }

  // Returns whether all numbers of the panel are finite.
  bool pack(int64_t panel) const {
    const int64_t used = std::min(kPanel, outputs_ - panel * kPanel);
    const In* const from = weight_ + panel * kPanel * stride_[0];
    T* const to = packed_ + panel * static_cast<int64_t>(taps_.from.size()) * tap_size();
    if (used < kPanel) return pack_numbers(from, 0, used, to);
    if (!taps_.place.empty()) return pack_kernels(from, to);
    if (stride_[1] == 1) return pack_channels(from, to);
    if (stride_[0] == 1) return pack_outputs(from, to);
    return pack_numbers(from, 0, used, to);
  }

 private:
  int64_t tap_size() const { return channels_ * kPanel; }

  // Adds 0 times the numbers to `zero`: not 0 if one of them is not finite. Column j of the square of rows
  // `stride` apart goes to to(j).
  template <class To>
  static void turn(const In* from, int64_t stride, const To& to, Vector<T>& zero) {
    Vector<T> rows[kLanes<T>];
#pragma GCC unroll 16
    for (int k = 0; k < kLanes<T>; ++k) {
      rows[k] = read_stored<T>(from + k * stride);
      zero += rows[k] * T(0);
    }
    swap_lanes<1, T>(rows);
#pragma GCC unroll 16
    for (int j = 0; j < kLanes<T>; ++j) write_vector(to(j), rows[j]);
  }

  static bool is_zero(Vector<T> value) {
    bool zero = true;
    for (int i = 0; i < kLanes<T>; ++i) zero &= value[i] == T(0);
    return zero;
  }

  bool pack_kernels(const In* from, T* to) const {
    Vector<T> zero = {};
    const int64_t* const place = taps_.place.data();
    for (int64_t c = 0; c < channels_; ++c, from += stride_[1], to += kPanel) {
      for (int64_t k = 0; k < kPanel; k += kLanes<T>) {
        for (int64_t t = 0; t < kSquareTaps; t += kLanes<T>) {
          turn(
              from + k * stride_[0] + t, stride_[0],
              [&](int j) { return to + place[t + j] * tap_size() + k; }, zero);
        }
      }
    }
    return is_zero(zero);
  }

  bool pack_channels(const In* from, T* to) const {
    Vector<T> zero = {};
    const int64_t whole = channels_ / kLanes<T> * kLanes<T>;
    for (size_t tap = 0; tap < taps_.from.size(); ++tap) {
      for (int64_t c = 0; c < whole; c += kLanes<T>) {
        for (int64_t k = 0; k < kPanel; k += kLanes<T>) {
          turn(
              from + k * stride_[0] + taps_.from[tap] + c, stride_[0],
              [&](int j) { return to + static_cast<int64_t>(tap) * tap_size() + (c + j) * kPanel + k; },
              zero);
        }
      }
    }
    const bool rest = pack_numbers(from, whole, kPanel, to);
    return is_zero(zero) && rest;
  }

  bool pack_outputs(const In* from, T* to) const {
    Vector<T> zero = {};
    for (int64_t c = 0; c < channels_; ++c, from += stride_[1], to += kPanel) {
      for (size_t tap = 0; tap < taps_.from.size(); ++tap) {
        for (int64_t k = 0; k < kPanel; k += kLanes<T>) {
          const Vector<T> value = read_stored<T>(from + taps_.from[tap] + k);
          zero += value * T(0);
          write_vector(to + static_cast<int64_t>(tap) * tap_size() + k, value);
        }
      }
    }
    return is_zero(zero);
  }

  // Channels from `first` on, of `used` outputs; zeros for the others.
  bool pack_numbers(const In* from, int64_t first, int64_t used, T* to) const {
    bool finite = true;
    for (const int64_t tap : taps_.from) {
      for (int64_t c = first; c < channels_; ++c) {
        const In* const at = from + c * stride_[1] + tap;
        for (int64_t k = 0; k < used; ++k) {
          to[c * kPanel + k] = to_compute(at[k * stride_[0]]);
          finite &= std::isfinite(to[c * kPanel + k]);
        }
        for (int64_t k = used; k < kPanel; ++k) to[c * kPanel + k] = T(0);
      }
      to += tap_size();
    }
    return finite;
  }

  PackedTaps taps_;
  int64_t channels_, outputs_, stride_[4];
  const In* weight_;
  T* packed_;
};

bool run_pack_weight(const PackWeightArguments& a, ParallelFor pool) {
  std::atomic<bool> finite{true};
  with_types(a.type, [&](auto types) {
    const PanelPacking<typename decltype(types)::In, typename decltype(types)::T> packing(a);
    parallel_for(pool, panels(a.shape.out_channels), /*grain=*/1, [&](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel) {
        if (!packing.pack(panel)) finite = false;
      }
    });
  });
  return finite;
}

}  // namespace
}  // namespace fastgan::cpu
