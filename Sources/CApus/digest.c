// xxHash's 64-bit variant with seed 0, after its specification:
// https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
#include "capus_digest.h"
#include <string.h>

static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu, P3 = 0x165667B19E3779F9u,
                      P4 = 0x85EBCA77C2B2AE63u, P5 = 0x27D4EB2F165667C5u;

static uint64_t turn(uint64_t value, int by) { return value << by | value >> (64 - by); }

static uint64_t mix(uint64_t lane, uint64_t word) { return turn(lane + word * P2, 31) * P1; }

// The words are little-endian.
static uint64_t word(const unsigned char *bytes, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; i++) value |= (uint64_t)bytes[i] << (8 * i);
  return value;
}

static void stripe(apus_digest *digest, const unsigned char *bytes) {
  for (int i = 0; i < 4; i++) digest->lanes[i] = mix(digest->lanes[i], word(bytes + 8 * i, 8));
}

void apus_digest_begin(apus_digest *digest) {
  memset(digest, 0, sizeof *digest);
  digest->lanes[0] = P1 + P2;
  digest->lanes[1] = P2;
  digest->lanes[3] = -P1;
}

void apus_digest_add(apus_digest *digest, const void *data, size_t count) {
  const unsigned char *bytes = data;
  size_t held = digest->length % sizeof digest->rest;
  digest->length += count;
  if (held > 0) {
    size_t taken = sizeof digest->rest - held;
    if (taken > count) taken = count;
    memcpy(digest->rest + held, bytes, taken);
    if (held + taken < sizeof digest->rest) return;
    stripe(digest, digest->rest);
    bytes += taken;
    count -= taken;
  }
  for (; count >= sizeof digest->rest; bytes += sizeof digest->rest, count -= sizeof digest->rest) stripe(digest, bytes);
  if (count > 0) memcpy(digest->rest, bytes, count);
}

uint64_t apus_digest_value(const apus_digest *digest) {
  uint64_t value = P5;
  if (digest->length >= sizeof digest->rest) {
    value = turn(digest->lanes[0], 1) + turn(digest->lanes[1], 7) + turn(digest->lanes[2], 12) + turn(digest->lanes[3], 18);
    for (int i = 0; i < 4; i++) value = (value ^ mix(0, digest->lanes[i])) * P1 + P4;
  }
  value += digest->length;
  const unsigned char *bytes = digest->rest;
  size_t count = digest->length % sizeof digest->rest;
  for (; count >= 8; bytes += 8, count -= 8) value = turn(value ^ mix(0, word(bytes, 8)), 27) * P1 + P4;
  if (count >= 4) {
    value = turn(value ^ word(bytes, 4) * P1, 23) * P2 + P3;
    bytes += 4;
    count -= 4;
  }
  for (; count > 0; bytes++, count--) value = turn(value ^ *bytes * P5, 11) * P1;
  value = (value ^ value >> 33) * P2;
  value = (value ^ value >> 29) * P3;
  return value ^ value >> 32;
}
