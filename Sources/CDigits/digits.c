#include "CDigits.h"

#include <string.h>

enum { PIXEL_BYTES = APUS_DIGITS_COUNT * APUS_DIGITS_HEIGHT * APUS_DIGITS_WIDTH };

// #embed is C23; clang takes it in every mode and says so.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wc23-extensions"
static const uint8_t table[] = {
#embed "optdigits.bin"
};
#pragma clang diagnostic pop

_Static_assert(sizeof(table) == PIXEL_BYTES + APUS_DIGITS_COUNT, "optdigits.bin: pixels, then labels");

void apus_digits_copy(uint8_t *pixels, uint8_t *labels) {
  memcpy(pixels, table, PIXEL_BYTES);
  memcpy(labels, table + PIXEL_BYTES, APUS_DIGITS_COUNT);
}
