#include "CPNG.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What libpng's callbacks and the cleanup after a jump need. It lives in the frame of the public functions, which never
// call setjmp themselves, so a jump leaves none of it indeterminate.
typedef struct {
  jmp_buf jump;
  char *message;
  const uint8_t *input;
  size_t input_count, input_used;
  uint8_t *output;
  size_t output_count, output_capacity;
  png_bytep row;
  png_structp png;
  png_infop info;
} session;

static void on_error(png_structp png, png_const_charp text) {
  session *s = png_get_error_ptr(png);
  snprintf(s->message, APUS_PNG_MESSAGE_CAPACITY, "%s", text);
  longjmp(s->jump, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

static void read_bytes(png_structp png, png_bytep target, size_t count) {
  session *s = png_get_io_ptr(png);
  if (count > s->input_count - s->input_used) png_error(png, "the data ends early");
  memcpy(target, s->input + s->input_used, count);
  s->input_used += count;
}

static void write_bytes(png_structp png, png_bytep source, size_t count) {
  session *s = png_get_io_ptr(png);
  if (count > APUS_PNG_MAXIMUM_BYTES - s->output_count) png_error(png, "the encoded image is too large");
  if (s->output_count + count > s->output_capacity) {
    size_t capacity = s->output_capacity * 2;
    if (capacity < s->output_count + count) capacity = s->output_count + count;
    if (capacity < 4096) capacity = 4096;
    uint8_t *grown = realloc(s->output, capacity);
    if (grown == NULL) png_error(png, "out of memory");
    s->output = grown;
    s->output_capacity = capacity;
  }
  memcpy(s->output + s->output_count, source, count);
  s->output_count += count;
}

static void flush_bytes(png_structp png) { (void)png; }

// What libpng leaves at the places of the samples: two bytes each, the high one first.
static void in_memory_order(uint16_t *samples, size_t count, uint32_t bit_depth) {
  for (size_t i = 0; i < count; i++) {
    const uint8_t *bytes = (const uint8_t *)&samples[i];
    samples[i] = bit_depth == 16 ? (uint16_t)(bytes[0] << 8 | bytes[1]) : bytes[1];
  }
}

static bool decode(session *s, apus_png_image *image, uint16_t *samples) {
  if (setjmp(s->jump) != 0) return false;
  s->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, s, on_error, on_warning);
  if (s->png == NULL) return false;
  s->info = png_create_info_struct(s->png);
  if (s->info == NULL) png_error(s->png, "out of memory");
  png_set_read_fn(s->png, s, read_bytes);
  // Text, colour profiles and the like are never used. libpng would take memory for as much as they claim before it sees
  // that the data ends; a negative number stands for all chunks but those that the samples need.
  png_set_keep_unknown_chunks(s->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  // The product of the sides is what is bounded, below, with a message that names them.
  png_set_user_limits(s->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_chunk_cache_max(s->png, 64);
  png_set_chunk_malloc_max(s->png, 1 << 20);

  png_read_info(s->png, s->info);
  uint32_t width = png_get_image_width(s->png, s->info);
  uint32_t height = png_get_image_height(s->png, s->info);
  uint32_t bit_depth = png_get_bit_depth(s->png, s->info) == 16 ? 16 : 8;
  if ((uint64_t)width * height > APUS_PNG_MAXIMUM_PIXELS) {
    snprintf(s->message, APUS_PNG_MESSAGE_CAPACITY, "%ux%u pixels are more than the %d MPixel that are read", width,
             height, APUS_PNG_MAXIMUM_PIXELS >> 20);
    return false;
  }
  // Deflate shrinks at most 1032 times, so a short file cannot hold a large image: refuse before allocating.
  uint64_t stored = (uint64_t)png_get_rowbytes(s->png, s->info) * height;
  if (stored / 1032 > s->input_count) {
    snprintf(s->message, APUS_PNG_MESSAGE_CAPACITY, "the header claims %ux%u pixels, but %zu bytes cannot hold them",
             width, height, s->input_count);
    return false;
  }

  // All become 16 bits, so that rows are read to where they stay; v bits of 8 become v · 257, whose bytes are both v.
  png_set_expand_16(s->png);
  int passes = png_set_interlace_handling(s->png);
  png_read_update_info(s->png, s->info);

  uint32_t channels = png_get_channels(s->png, s->info);
  size_t row_bytes = png_get_rowbytes(s->png, s->info);
  if (row_bytes != (size_t)width * channels * 2) png_error(s->png, "an unsupported sample format");
  // A palette of one bit with transparency grows 32 times once more: a file of some kilobytes must not take gigabytes.
  size_t count = (size_t)width * height * channels;
  uint64_t expanded = (uint64_t)count * (bit_depth / 8);
  if (expanded > APUS_PNG_FREE_BYTES + (uint64_t)APUS_PNG_MAXIMUM_GROWTH * s->input_count) {
    snprintf(s->message, APUS_PNG_MESSAGE_CAPACITY,
             "%ux%u pixels of %u channels would take %llu bytes, more than %d times the %zu bytes of the file", width, height,
             channels, (unsigned long long)expanded, APUS_PNG_MAXIMUM_GROWTH, s->input_count);
    return false;
  }
  *image = (apus_png_image){width, height, channels, bit_depth};
  if (samples == NULL) return true;
  for (int pass = 0; pass < passes; pass++) {
    for (uint32_t y = 0; y < height; y++) png_read_row(s->png, (png_bytep)samples + y * row_bytes, NULL);
  }
  png_read_end(s->png, NULL);
  in_memory_order(samples, count, bit_depth);
  return true;
}

static bool encode(session *s, const apus_png_image *image, const uint16_t *samples) {
  static const int types[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
  if (setjmp(s->jump) != 0) return false;
  s->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, s, on_error, on_warning);
  if (s->png == NULL) return false;
  s->info = png_create_info_struct(s->png);
  if (s->info == NULL) png_error(s->png, "out of memory");
  png_set_write_fn(s->png, s, write_bytes, flush_bytes);
  png_set_user_limits(s->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_IHDR(s->png, s->info, image->width, image->height, (int)image->bit_depth, types[image->channels],
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(s->png, s->info);
  size_t count = (size_t)image->width * image->channels;
  s->row = malloc(count * (image->bit_depth / 8));
  if (s->row == NULL) png_error(s->png, "out of memory");
  for (uint32_t y = 0; y < image->height; y++) {
    const uint16_t *from = samples + y * count;
    for (size_t i = 0; i < count; i++) {
      if (image->bit_depth == 8) {
        s->row[i] = (uint8_t)from[i];
      } else {
        s->row[2 * i] = (uint8_t)(from[i] >> 8);
        s->row[2 * i + 1] = (uint8_t)from[i];
      }
    }
    png_write_row(s->png, s->row);
  }
  png_write_end(s->png, NULL);
  return true;
}

bool apus_png_decode(const uint8_t *bytes, size_t count, apus_png_image *image, uint16_t *samples, char *message) {
  *image = (apus_png_image){0};
  snprintf(message, APUS_PNG_MESSAGE_CAPACITY, "libpng could not be started");
  if (count > APUS_PNG_MAXIMUM_BYTES) {
    snprintf(message, APUS_PNG_MESSAGE_CAPACITY, "%zu bytes are more than the %d MiB that are read", count,
             APUS_PNG_MAXIMUM_BYTES >> 20);
    return false;
  }
  if (count < 8 || png_sig_cmp(bytes, 0, 8) != 0) {
    snprintf(message, APUS_PNG_MESSAGE_CAPACITY, "it does not begin with the PNG signature");
    return false;
  }
  session s = {.message = message, .input = bytes, .input_count = count};
  bool done = decode(&s, image, samples);
  png_destroy_read_struct(&s.png, &s.info, NULL);
  return done;
}

bool apus_png_encode(const apus_png_image *image, const uint16_t *samples, uint8_t **bytes, size_t *count, char *message) {
  *bytes = NULL;
  *count = 0;
  snprintf(message, APUS_PNG_MESSAGE_CAPACITY, "libpng could not be started");
  bool fits = image->width > 0 && image->height > 0 && image->channels >= 1 && image->channels <= 4
              && (image->bit_depth == 8 || image->bit_depth == 16)
              && (uint64_t)image->width * image->height <= APUS_PNG_MAXIMUM_PIXELS;
  if (!fits || samples == NULL) {
    snprintf(message, APUS_PNG_MESSAGE_CAPACITY,
             "%ux%u pixels of %u channels of %u bits cannot be written: 1 to %d MPixel of 1 to 4 channels of 8 or 16 bits can",
             image->width, image->height, image->channels, image->bit_depth, APUS_PNG_MAXIMUM_PIXELS >> 20);
    return false;
  }
  session s = {.message = message};
  bool done = encode(&s, image, samples);
  if (done) {
    *bytes = s.output;
    *count = s.output_count;
  } else {
    free(s.output);
  }
  free(s.row);
  png_destroy_write_struct(&s.png, &s.info);
  return done;
}

void apus_png_free(uint8_t *memory) { free(memory); }
