#include "CZlib.h"

#include <stdlib.h>
#include <zlib.h>

// zlib counts in 32-bit numbers: larger buffers are handed over in pieces.
static const size_t piece = 1u << 30;
static const int gzip_window = 15 + 16;

static void refill(z_stream *stream, const uint8_t *bytes, size_t count, size_t *given) {
  if (stream->avail_in > 0 || *given == count) return;
  size_t next = count - *given < piece ? count - *given : piece;
  stream->next_in = (Bytef *)(bytes + *given);
  stream->avail_in = (uInt)next;
  *given += next;
}

static void room(z_stream *stream, uint8_t *target, size_t capacity, size_t *given) {
  if (stream->avail_out > 0 || *given == capacity) return;
  size_t next = capacity - *given < piece ? capacity - *given : piece;
  stream->next_out = target + *given;
  stream->avail_out = (uInt)next;
  *given += next;
}

// What may stand behind a member: nothing, zeros (tapes and disks pad with them), another member. Sets `taken` to where
// that begins, which is `count` at the end.
static const char *next_member(z_stream *stream, const uint8_t *bytes, size_t count, size_t *taken) {
  size_t place = *taken - stream->avail_in;
  while (place < count && bytes[place] == 0) place++;
  stream->avail_in = 0;
  *taken = place;
  if (place == count) return NULL;
  if (bytes[place] != 0x1F || (place + 1 < count && bytes[place + 1] != 0x8B)) {
    return "something that is not gzip follows the compressed data";
  }
  return inflateReset(stream) == Z_OK ? NULL : "zlib could not be restarted";
}

const char *apus_gunzip(
    const uint8_t *bytes, size_t count, uint8_t *target, size_t capacity, size_t *produced, bool *ended) {
  *produced = 0;
  *ended = false;
  z_stream stream = {0};
  if (inflateInit2(&stream, gzip_window) != Z_OK) return "zlib could not be started";
  size_t taken = 0, offered = 0;
  const char *problem = NULL;
  while (true) {
    refill(&stream, bytes, count, &taken);
    room(&stream, target, capacity, &offered);
    int status = inflate(&stream, Z_NO_FLUSH);
    *produced = offered - stream.avail_out;
    if (status == Z_STREAM_END) {
      problem = next_member(&stream, bytes, count, &taken);
      *ended = problem == NULL && taken == count;
      if (problem != NULL || *ended) break;
    } else if (status == Z_BUF_ERROR) {
      // No progress is possible: the target is full, or the data is cut off.
      if (*produced < capacity) problem = "the compressed data ends early";
      break;
    } else if (status != Z_OK) {
      problem = status == Z_MEM_ERROR ? "out of memory" : "the compressed data is damaged";
      break;
    }
  }
  inflateEnd(&stream);
  return problem;
}

uint8_t *apus_gzip(const uint8_t *bytes, size_t count, size_t *produced) {
  *produced = 0;
  z_stream stream = {0};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) return NULL;
  size_t capacity = deflateBound(&stream, count), taken = 0, offered = 0;
  uint8_t *target = malloc(capacity);
  int status = target == NULL ? Z_MEM_ERROR : Z_OK;
  while (status == Z_OK) {
    refill(&stream, bytes, count, &taken);
    room(&stream, target, capacity, &offered);
    status = deflate(&stream, taken == count ? Z_FINISH : Z_NO_FLUSH);
  }
  *produced = offered - stream.avail_out;
  deflateEnd(&stream);
  if (status == Z_STREAM_END) return target;
  free(target);
  *produced = 0;
  return NULL;
}

void apus_zlib_free(uint8_t *memory) { free(memory); }
