// Where the fields lie is the interface.
#include "cdlpack.h"
#include <stddef.h>

_Static_assert(sizeof(void *) == 8, "written down for 64 bits");
_Static_assert(offsetof(apus_dl_tensor, device) == 8 && offsetof(apus_dl_tensor, ndim) == 16, "DLTensor");
_Static_assert(offsetof(apus_dl_tensor, dtype) == 20 && offsetof(apus_dl_tensor, shape) == 24, "DLTensor");
_Static_assert(offsetof(apus_dl_tensor, strides) == 32 && offsetof(apus_dl_tensor, byte_offset) == 40, "DLTensor");
_Static_assert(sizeof(apus_dl_tensor) == 48, "DLTensor");
_Static_assert(offsetof(apus_dl_managed, context) == 48 && sizeof(apus_dl_managed) == 64, "DLManagedTensor");
_Static_assert(offsetof(apus_dl_versioned, context) == 8 && offsetof(apus_dl_versioned, deleter) == 16, "versioned");
_Static_assert(offsetof(apus_dl_versioned, flags) == 24 && offsetof(apus_dl_versioned, tensor) == 32, "versioned");
