// ldmatrix and mma.sync, by the layouts of the PTX ISA ("Matrix fragments for mma.m16n8k16" and "...
// m16n8k8").
//
// Lane 4 g + t holds, of a: rows g and g + 8, of b: column g, of d: rows g and g + 8 of columns 2 t and 2 t
// + 1.
#include "matrix.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "block.h"
#include "shared_memory.h"

namespace fastgan::cuda_host {
namespace {

constexpr int kRows = 16, kColumns = 8, kMatrix = 8, kRowBytes = 16;
constexpr uint32_t kTf32Ignores = 0x1fff;

Meeting& meet_all(const Gift& gift, void (*finish)(Meeting&), const Place& place) {
  Meeting& meeting = block().current_warp().meet(kAllLanes, gift, finish, place);
  if (meeting.took_part != kAllLanes) fail(text(place) + ": it needs all 32 lanes of the warp");
  return meeting;
}

uint16_t element(const void* row, int column) {
  uint16_t value;
  std::memcpy(&value, static_cast<const char*>(row) + sizeof value * static_cast<size_t>(column),
              sizeof value);
  return value;
}

template <bool transposed>
void finish_load(Meeting& meeting) {
  if (meeting.took_part != kAllLanes) return;
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      uint32_t pair = 0;
      for (int half = 0; half < 2; ++half) {
        const int along = 2 * (lane % 4) + half, across = lane / 4;
        const int row = transposed ? along : across, column = transposed ? across : along;
        pair |= uint32_t{element(meeting.given[i * kMatrix + row].pointer, column)} << (16 * half);
      }
      meeting.results[lane].a[i] = pair;
    }
  }
}

template <class T>
float half_of(uint32_t pair, int half) {
  return to_compute(T{static_cast<uint16_t>(pair >> (16 * half))});
}

// d += a b on whole matrices.
template <int depth>
void multiply_matrices(const float (&a)[kRows][depth], const float (&b)[depth][kColumns], Meeting& meeting) {
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
      float sum = meeting.given[lane].d[i];
      for (int k = 0; k < depth; ++k) sum += a[row][k] * b[k][column];
      meeting.results[lane].d[i] = sum;
    }
  }
}

template <class T>
void finish_halves(Meeting& meeting) {
  if (meeting.took_part != kAllLanes) return;
  constexpr int kDepth = 16;
  float a[kRows][kDepth], b[kDepth][kColumns];
  for (int lane = 0; lane < 32; ++lane) {
    const Gift& given = meeting.given[lane];
    const int group = lane / 4, first = 2 * (lane % 4);
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i)
        a[group + 8 * (i % 2)][first + half + 8 * (i / 2)] = half_of<T>(given.a[i], half);
      for (int i = 0; i < 2; ++i) b[first + half + 8 * i][group] = half_of<T>(given.b[i], half);
    }
  }
  multiply_matrices<kDepth>(a, b, meeting);
}

void finish_tf32(Meeting& meeting) {
  if (meeting.took_part != kAllLanes) return;
  constexpr int kDepth = 8;
  float a[kRows][kDepth], b[kDepth][kColumns];
  for (int lane = 0; lane < 32; ++lane) {
    const Gift& given = meeting.given[lane];
    const int group = lane / 4, member = lane % 4;
    for (int i = 0; i < 4; ++i) a[group + 8 * (i % 2)][member + 4 * (i / 2)] = float_from_bits(given.a[i]);
    for (int i = 0; i < 2; ++i) b[member + 4 * i][group] = float_from_bits(given.b[i]);
  }
  multiply_matrices<kDepth>(a, b, meeting);
}

void multiply_with(void (*finish)(Meeting&), float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                   const Place& place) {
  Gift gift;
  std::copy(std::begin(a), std::end(a), gift.a);
  std::copy(std::begin(b), std::end(b), gift.b);
  std::copy(std::begin(d), std::end(d), gift.d);
  const unsigned lane = block().current().lane;
  const Gift& result = meet_all(gift, finish, place).results[lane];
  std::copy(std::begin(result.d), std::end(result.d), d);
}

}  // namespace

void load_matrices(uint32_t (&r)[4], const void* row, bool transposed, const Place& place) {
  if (reinterpret_cast<uintptr_t>(row) % kRowBytes != 0)
    fail(text(place) + ": a row is not aligned to 16 bytes");
  if (!shared_memory().holds(row, kRowBytes)) fail(text(place) + ": a row is not in shared memory");
  Gift gift;
  gift.pointer = row;
  const unsigned lane = block().current().lane;
  const Meeting& meeting = meet_all(gift, transposed ? finish_load<true> : finish_load<false>, place);
  std::copy(std::begin(meeting.results[lane].a), std::end(meeting.results[lane].a), r);
}

void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Half, const Place& place) {
  multiply_with(finish_halves<Half>, d, a, b, place);
}

void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], BFloat16, const Place& place) {
  multiply_with(finish_halves<BFloat16>, d, a, b, place);
}

void multiply_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const Place& place) {
  const auto rounded = [](uint32_t bits) { return (bits & kTf32Ignores) == 0; };
  if (!std::all_of(std::begin(a), std::end(a), rounded) ||
      !std::all_of(std::begin(b), std::end(b), rounded)) {
    fail(text(place) + ": an operand was not rounded to tf32");
  }
  multiply_with(finish_tf32, d, a, b, place);
}

uint32_t round_to_tf32(float x) {
  const uint32_t bits = bits_from_float(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fffe000u;  // NaN
  return (bits + 0x1000u) & ~kTf32Ignores;
}

}  // namespace fastgan::cuda_host
