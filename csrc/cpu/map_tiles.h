// Dense feature maps cut into tiles of memory for passes that treat every element alike.
//
// A contiguous map [N, C, pixels] is a strip of one channel per (image, channel), a channels_last one
// [N, pixels, C] a strip of all channels per image. Tiles are a function of the shape alone.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/map_shape.h"

namespace fastgan::cpu {

using fastgan::MapShape;

struct Tile {
  int64_t image, channel;  // channel: the first
  int64_t first;           // element in the map's memory
  int64_t pixel;           // the first, within the image
  int64_t pixels;
};

class MapTiles {
 public:
  explicit MapTiles(const MapShape& shape)
      : shape_(shape),
        pixels_per_tile_(std::max<int64_t>(1, kElements / std::max<int64_t>(1, channels_per_tile()))),
        tiles_per_strip_((shape.pixels + pixels_per_tile_ - 1) / pixels_per_tile_) {}

  int64_t count() const { return strips() * tiles_per_strip_; }

  // Elements of a pixel within a tile.
  int64_t channels_per_tile() const { return shape_.channels_last ? shape_.channels : 1; }

  // Tiles to give to a thread at least.
  int64_t grain() const {
    const int64_t elements = std::min(pixels_per_tile_, shape_.pixels) * channels_per_tile();
    return std::max<int64_t>(1, kElements / std::max<int64_t>(1, elements));
  }

  Tile operator[](int64_t index) const {
    const int64_t strip = index / tiles_per_strip_, pixel = index % tiles_per_strip_ * pixels_per_tile_;
    const int64_t image = shape_.channels_last ? strip : strip / shape_.channels;
    const int64_t channel = shape_.channels_last ? 0 : strip % shape_.channels;
    return {image, channel, (strip * shape_.pixels + pixel) * channels_per_tile(), pixel,
            std::min(pixels_per_tile_, shape_.pixels - pixel)};
  }

  // Calls use(part) with what each tile keeps of `channel` of `image`, in order; parts are laid out
  // [tile][channels_per_tile].
  template <class P, class F>
  void each_part(const P* parts, int64_t image, int64_t channel, const F& use) const {
    const int64_t strip = shape_.channels_last ? image : image * shape_.channels + channel;
    const int64_t lane = shape_.channels_last ? channel : 0;
    for (int64_t t = 0; t < tiles_per_strip_; ++t) {
      use(parts[(strip * tiles_per_strip_ + t) * channels_per_tile() + lane]);
    }
  }

 private:
  static constexpr int64_t kElements = 16384;

  int64_t strips() const { return shape_.images * (shape_.channels_last ? 1 : shape_.channels); }

  MapShape shape_;
  int64_t pixels_per_tile_, tiles_per_strip_;
};

}  // namespace fastgan::cpu
