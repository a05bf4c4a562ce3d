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

}  // namespace
}  // namespace fastgan::cpu
