// A digest of bytes that come in parts: XXH64, for telling files apart that nobody forged.
#ifndef CAPUS_DIGEST_H
#define CAPUS_DIGEST_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint64_t lanes[4];
  uint64_t length;
  // The bytes since the last whole stripe.
  unsigned char rest[32];
} apus_digest;

void apus_digest_begin(apus_digest *_Nonnull digest);
void apus_digest_add(apus_digest *_Nonnull digest, const void *_Nullable bytes, size_t count);
uint64_t apus_digest_value(const apus_digest *_Nonnull digest);

#endif
