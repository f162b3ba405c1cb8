// Sleeping until something about an object has changed, without a lock of its own in every object.
#ifndef CAPUS_PARKING_H
#define CAPUS_PARKING_H
#include <stdbool.h>

// Sleeps while `waits(context)` is true. It is asked under a lock that `apus_wake` takes too, and again after each wake
// for `object`; it must not park itself.
void apus_park(const void *_Nonnull object, bool (*_Nonnull waits)(void *_Nonnull context), void *_Nonnull context);
// Wakes all that sleep for `object`. What they wait for must have been changed before.
void apus_wake(const void *_Nonnull object);

#endif
