// How the threads of a pass go over a dense feature map, as a function of its shape alone, so that sums are
// the same every time.
//
// Elements go through 16 bytes at a time, a pack, where memory allows. In NHWC memory a block is columns x
// rows threads: a column keeps its pack of channels, and rows take pixels in turn. Where a pack is not a part
// of the channels, pixels are seen `fold` in one: 64 x 64 pixels of 3 channels as 32 x 32 of 12. In NCHW
// memory some lanes of a warp take the pixels of one image's channel, a strip.
#pragma once

#include <cstdint>
#include <numeric>

#include "common/map_shape.h"

namespace fastgan::cuda {

constexpr int kMapThreads = 256;
constexpr int kMapStep = 4;          // packs that a thread takes at least
constexpr int kMapMostPacks = 32;    // that a thread adds up in the type of the statistics
constexpr int kMapMostColumns = 32;  // a row of a block reads 512 bytes side by side
constexpr int64_t kMapBlocks = 512;  // that a pass is cut into before threads take more packs

struct MapTiling {
  bool channels_last;
  int pack;
  int fold;
  int64_t images;     // as seen here: 1 where all share their numbers and their memory is one
  int64_t channels;   // as seen here, times `fold`
  int64_t pixels;     // of one such image, in NCHW memory in packs
  int columns, rows;  // of a block; in NCHW memory lanes of a strip, strips
  int64_t tile;       // pixels, or packs of a strip, that a block takes
  int64_t tiles;      // of an image, or of a strip
  int64_t blocks;     // across all images
  int64_t column_tiles;
};

inline int64_t divided_up(int64_t value, int64_t by) { return (value + by - 1) / by; }

// For each thread of a pass over `packs`: more of them once there are blocks enough.
inline int64_t packs_of_thread(int64_t packs) {
  const int64_t wanted = divided_up(packs, kMapBlocks * kMapThreads * kMapStep);
  constexpr int64_t kMost = kMapMostPacks / kMapStep;
  return (wanted < kMost ? wanted : kMost) * kMapStep;
}

// pack: elements of 16 bytes, or 1 where memory is not aligned. by_image: images have numbers of their own.
// An empty map has no blocks.
inline MapTiling map_tiling(const MapShape& shape, int pack, bool by_image) {
  MapTiling t{};
  t.channels_last = shape.channels_last;
  t.fold = 1;
  if (shape.size() == 0) return t;
  if (shape.channels_last) {
    t.images = by_image ? shape.images : 1;
    t.pixels = by_image ? shape.pixels : shape.images * shape.pixels;
    const int fold = pack / static_cast<int>(std::gcd(shape.channels, static_cast<int64_t>(pack)));
    t.pack = t.pixels % fold == 0 ? pack : 1;
    t.fold = t.pack == 1 ? 1 : fold;
    t.channels = shape.channels * t.fold;
    t.pixels /= t.fold;
    const int64_t packs = t.channels / t.pack;
    t.column_tiles = divided_up(packs, kMapMostColumns);
    t.columns = static_cast<int>(divided_up(packs, t.column_tiles));
    t.rows = kMapThreads / t.columns;
    t.tile = t.rows * packs_of_thread(t.images * t.pixels * packs);
    t.tiles = divided_up(t.pixels, t.tile);
    t.blocks = t.images * t.tiles;
  } else {
    t.images = shape.images;
    t.channels = shape.channels;
    t.pack = shape.pixels % pack == 0 ? pack : 1;
    t.pixels = shape.pixels / t.pack;
    t.column_tiles = 1;
    t.columns = 1;
    while (t.columns < kMapMostColumns && t.columns < t.pixels) t.columns *= 2;
    t.rows = kMapThreads / t.columns;
    t.tile = t.columns * packs_of_thread(shape.size() / t.pack);
    t.tiles = divided_up(t.pixels, t.tile);
    t.blocks = divided_up(t.images * t.channels * t.tiles, t.rows);
  }
  return t;
}

// What is wrong with it as a grid, nullptr if nothing is.
inline const char* refusal(const MapTiling& t) {
  if (t.blocks > 0x7fffffff || t.column_tiles > 65535 || t.channels > 0x7fffffff)
    return "affine_act: the feature map is larger than a grid";
  return nullptr;
}

}  // namespace fastgan::cuda
