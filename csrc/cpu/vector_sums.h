// Sums in double of vectors of any type. For kernel headers, as vector.h is.
//
// Needs before it: cpu/vector.h.

namespace fastgan::cpu {
namespace {

// A vector's numbers as doubles, in vectors.
template <class T>
struct Doubles {
  static constexpr int kParts = kLanes<T> / kLanes<double>;
  Vector<double> part[kParts];

  static Doubles of(Vector<T> value) {
    T lanes[kLanes<T>];
    write_vector(lanes, value);
    Doubles doubles;
    for (int i = 0; i < kParts; ++i) doubles.part[i] = read_doubles(lanes + i * kLanes<double>);
    return doubles;
  }
  Doubles operator-(const Doubles& other) const {
    Doubles difference;
    for (int i = 0; i < kParts; ++i) difference.part[i] = part[i] - other.part[i];
    return difference;
  }
};

// Lane by lane, of numbers and of products: those of floats are exact.
template <class T>
struct VectorSums {
  Vector<double> part[Doubles<T>::kParts] = {};

  void add(const Doubles<T>& value) {
    for (int i = 0; i < Doubles<T>::kParts; ++i) part[i] += value.part[i];
  }
  void add_product(const Doubles<T>& a, const Doubles<T>& b) {
    for (int i = 0; i < Doubles<T>::kParts; ++i) part[i] += a.part[i] * b.part[i];
  }
  void load(const double* from) {
    for (int i = 0; i < Doubles<T>::kParts; ++i) part[i] = read_vector(from + i * kLanes<double>);
  }
  void store(double* to) const {
    for (int i = 0; i < Doubles<T>::kParts; ++i) write_vector(to + i * kLanes<double>, part[i]);
  }
};

}  // namespace
}  // namespace fastgan::cpu
