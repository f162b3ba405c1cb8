#include "capus_stack.h"

#include <unwind.h>

// The caller's stack pointer at the call. Two words lie between it and the frame pointer: the return address and the
// caller's frame pointer.
__attribute__((noinline)) uintptr_t apus_stack_mark(void) {
  return (uintptr_t)__builtin_frame_address(0) + 2 * sizeof(void *);
}

struct walk {
  uintptr_t *addresses, mark;
  int count, limit, skipped;
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *data) {
  struct walk *walk = data;
  // The first frame is this file's own.
  if (walk->skipped++ == 0) return _URC_NO_REASON;
  if (walk->count >= walk->limit || (walk->mark && _Unwind_GetCFA(context) >= walk->mark)) return _URC_END_OF_STACK;
  walk->addresses[walk->count++] = _Unwind_GetIP(context);
  return _URC_NO_REASON;
}

int apus_return_addresses(uintptr_t *addresses, int limit, uintptr_t mark) {
  struct walk walk = {addresses, mark, 0, limit, 0};
  _Unwind_Backtrace(visit, &walk);
  return walk.count;
}
