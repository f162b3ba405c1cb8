// The structures by which array libraries lend each other tensors in memory: DLPack's binary interface, version 1.1.
// Facts from https://dmlc.github.io/dlpack/latest/c_api.html; the names are this project's own, so that a program may
// include the original beside it.
#ifndef CDLPACK_H
#define CDLPACK_H
#include <stdint.h>

enum { APUS_DL_MAJOR_VERSION = 1, APUS_DL_MINOR_VERSION = 1 };

// Bits of `flags`.
enum {
  // The consumer must not write.
  APUS_DL_READ_ONLY = 1,
  // A copy made for the consumer, who alone has it.
  APUS_DL_IS_COPIED = 2,
  // Elements of less than a byte have one each.
  APUS_DL_IS_PADDED = 4,
};

// What `device_type` says; the others are accelerators' and theirs alone to read.
enum { APUS_DL_CPU = 1 };

// What `code` says of an element.
enum {
  APUS_DL_INT = 0,
  APUS_DL_UINT = 1,
  APUS_DL_FLOAT = 2,
  APUS_DL_BFLOAT = 4,
  APUS_DL_COMPLEX = 5,
  APUS_DL_BOOL = 6,
  APUS_DL_FLOAT8_E4M3FN = 10,
  APUS_DL_FLOAT8_E5M2 = 12,
};

typedef struct {
  uint32_t major;
  uint32_t minor;
} apus_dl_version;

typedef struct {
  int32_t device_type;
  int32_t device_id;
} apus_dl_device;

typedef struct {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} apus_dl_dtype;

typedef struct {
  // The first element is `byte_offset` bytes further.
  void *_Nullable data;
  apus_dl_device device;
  int32_t ndim;
  apus_dl_dtype dtype;
  int64_t *_Nullable shape;
  // In elements; NULL: row-major without gaps.
  int64_t *_Nullable strides;
  uint64_t byte_offset;
} apus_dl_tensor;

// What a capsule named "dltensor" holds.
typedef struct apus_dl_managed {
  apus_dl_tensor tensor;
  void *_Nullable context;
  // Frees the structure and lets the memory go; may be NULL.
  void (*_Nullable deleter)(struct apus_dl_managed *_Nonnull self);
} apus_dl_managed;

// What a capsule named "dltensor_versioned" holds. Of another major version only what stands before `flags` may be read.
typedef struct apus_dl_versioned {
  apus_dl_version version;
  void *_Nullable context;
  void (*_Nullable deleter)(struct apus_dl_versioned *_Nonnull self);
  uint64_t flags;
  apus_dl_tensor tensor;
} apus_dl_versioned;

#endif
