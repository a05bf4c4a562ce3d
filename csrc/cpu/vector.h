// Vectors of FASTGAN_VECTOR_BYTES by the compilers' own extension: no intrinsics, any machine. For kernel
// headers, each of which a capability's source includes in its own region.
#ifndef FASTGAN_VECTOR_BYTES
#define FASTGAN_VECTOR_BYTES 16
#endif

namespace fastgan::cpu {
namespace {

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(FASTGAN_VECTOR_BYTES), aligned(alignof(T)), may_alias));
};

template <class T>
using Vector = typename VectorOf<T>::type;

template <class T>
constexpr int kLanes = FASTGAN_VECTOR_BYTES / sizeof(T);

template <class T>
inline Vector<T> broadcast(T value) {
  return value - Vector<T>{};  // not +: -0 stays -0
}

// The vector of doubles of as many numbers.
template <class T>
struct NarrowOf {
  typedef T type
      __attribute__((vector_size(FASTGAN_VECTOR_BYTES / 8 * sizeof(T)), aligned(alignof(T)), may_alias));
};

template <class T>
inline Vector<double> read_doubles(const T* from) {
  return __builtin_convertvector(*reinterpret_cast<const typename NarrowOf<T>::type*>(from), Vector<double>);
}

template <class T>
inline Vector<T> read_vector(const T* from) {
  return *reinterpret_cast<const Vector<T>*>(from);
}

template <class T>
inline void write_vector(T* to, Vector<T> value) {
  *reinterpret_cast<Vector<T>*>(to) = value;
}

}  // namespace
}  // namespace fastgan::cpu
