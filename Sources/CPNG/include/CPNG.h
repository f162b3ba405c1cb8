// PNG images in memory, through libpng. Every error of libpng is caught inside this shim and returned as a message.
#ifndef APUS_CPNG_H
#define APUS_CPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  /// More pixels than this are refused before anything is allocated for them.
  APUS_PNG_MAXIMUM_PIXELS = 64 * 1024 * 1024,
  /// More bytes of PNG than this are refused.
  APUS_PNG_MAXIMUM_BYTES = 512 * 1024 * 1024,
  /// An image may take this much memory, and so many times its file's size more.
  APUS_PNG_FREE_BYTES = 16 * 1024 * 1024,
  APUS_PNG_MAXIMUM_GROWTH = 2000,
  APUS_PNG_MESSAGE_CAPACITY = 256,
};

typedef struct {
  uint32_t width;
  uint32_t height;
  /// 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA.
  uint32_t channels;
  /// 8 or 16: samples are 0 to 255 or 0 to 65535.
  uint32_t bit_depth;
} apus_png_image;

/// Reads the header of a PNG and, unless `samples` is NULL, the image to there: `width` x `height` x `channels` samples,
/// pixels interleaved, rows without padding. Palettes and 1-, 2- and 4-bit samples become 8-bit samples, transparency an
/// alpha channel. Chunks that say nothing about the samples (text, profiles, unknown ones) are passed over unread.
/// False: `message` (of APUS_PNG_MESSAGE_CAPACITY bytes) says why.
bool apus_png_decode(const uint8_t *bytes, size_t count, apus_png_image *image, uint16_t *samples, char *message);

/// Encodes `samples` to newly allocated bytes, which `apus_png_free` gives back. False: `message` says why, nothing is held.
bool apus_png_encode(const apus_png_image *image, const uint16_t *samples, uint8_t **bytes, size_t *count, char *message);

void apus_png_free(uint8_t *memory);

#endif
