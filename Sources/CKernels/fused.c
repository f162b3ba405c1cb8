// Fused element-wise programs: an interpreter whose every instruction is a kernel call over one tile.
#include "internal.h"

#include <stdlib.h>

enum { TILE = 1024, MAX_INSTRUCTIONS = 256, MAX_ELEMENT = 8 };

enum shape { UNARY, BINARY, TERNARY, SELECT, COPY };

// An operand with its address worked out: at `base`, advancing `step` bytes an element. Registers are numbered, since
// each thread has its own.
struct place {
  const char *base;
  int64_t step;
  int32_t reg;  // -1: not a register
};

struct step {
  enum shape shape;
  union {
    ck_unary_fn unary;
    ck_binary_fn binary;
    ck_ternary_fn ternary;
    ck_select_fn select;
  } kernel;
  int64_t size;  // of an element of the result
  struct place sources[3], destination;
  bool fills;  // all sources are scalars: computed once, then spread over the tile
};

struct plan {
  int64_t n, registers;
  int32_t count;
  struct step steps[MAX_INSTRUCTIONS];
};

static int source_count(ck_op op) {
  if (op <= CK_GREATER_EQUAL) return 2;
  if (op == CK_CAST || op == CK_COPY || op <= CK_SOFTPLUS) return 1;
  return 3;
}

static ck_dtype source_dtype(const ck_instruction *in, int source) {
  if (in->op == CK_SELECT && source == 0) return CK_BOOL;
  return in->op == CK_CAST ? in->from_dtype : in->dtype;
}

static ck_dtype result_dtype(const ck_instruction *in) {
  bool logical = (in->op >= CK_LOGICAL_AND && in->op <= CK_GREATER_EQUAL) || in->op == CK_LOGICAL_NOT ||
                 in->op == CK_ISNAN;
  return logical ? CK_BOOL : in->dtype;
}

static ck_mode mode_of(bool scalar_a, bool scalar_b) {
  if (scalar_a) return scalar_b ? CK_SCALAR_SCALAR : CK_SCALAR_VECTOR;
  return scalar_b ? CK_VECTOR_SCALAR : CK_VECTOR_VECTOR;
}

// Sets the kernel for operands of which scalar[i] are single elements; with only scalars, the one for vectors (of one).
static bool find_kernel(const ck_instruction *in, struct step *step, const bool scalar[3]) {
  bool a = scalar[0] && !step->fills, b = scalar[1] && !step->fills, c = scalar[2] && !step->fills;
  ck_op op = in->op;
  if (op >= CK_EQUAL && op <= CK_GREATER_EQUAL) {
    step->shape = BINARY;
    return (step->kernel.binary = ck_compare_serial(op, in->dtype, mode_of(a, b))) != NULL;
  }
  if (op <= CK_LOGICAL_XOR) {
    step->shape = BINARY;
    return (step->kernel.binary = ck_binary_serial(op, in->dtype, mode_of(a, b))) != NULL;
  }
  switch (op) {
    case CK_SELECT:
      // The kernel reads its condition as a vector: a lone condition is spread like other scalar results.
      step->shape = SELECT;
      if (a) return false;
      return (step->kernel.select = ck_select_serial(ck_dtype_size(in->dtype), mode_of(b, c))) != NULL;
    case CK_CAST:
      step->shape = UNARY;
      return (step->kernel.unary = ck_cast_serial(in->from_dtype, in->dtype)) != NULL;
    case CK_MULTIPLY_ADD:
    case CK_NEGATIVE_MULTIPLY_ADD:
      step->shape = TERNARY;
      return (step->kernel.ternary = ck_ternary_serial(op, in->dtype, !a | !b << 1 | !c << 2)) != NULL;
    case CK_COPY: step->shape = COPY; return ck_dtype_size(in->dtype) > 0;
    default: step->shape = UNARY; return (step->kernel.unary = ck_unary_serial(op, in->dtype)) != NULL;
  }
}

// Works out one operand; `written` has the dtype each register holds, or -1.
static int resolve_source(const ck_fused_program *p, ck_operand operand, ck_dtype dtype, const int *written,
                          const void *const *inputs, struct place *place, bool *scalar) {
  int64_t size = ck_dtype_size(dtype);
  int32_t i = operand.index;
  *place = (struct place){.reg = -1};
  *scalar = false;
  switch (operand.place) {
    case CK_PLACE_REGISTER:
      if (i < 0 || i >= p->register_count || written[i] != (int)dtype) return CK_BAD_SHAPE;
      place->reg = i;
      return CK_OK;
    case CK_PLACE_INPUT:
      if (i < 0 || i >= p->input_count || p->input_dtypes[i] != dtype) return CK_BAD_SHAPE;
      *scalar = p->input_is_scalar[i] != 0;
      place->base = inputs ? inputs[i] : NULL;
      place->step = *scalar ? 0 : size;
      return CK_OK;
    case CK_PLACE_IMMEDIATE:
      if (i < 0 || i >= p->immediate_count) return CK_BAD_SHAPE;
      *scalar = true;
      place->base = (const char *)(p->immediates + i);  // the low bytes come first on every machine served
      return CK_OK;
    default: return CK_BAD_SHAPE;
  }
}

static int make_plan(const ck_fused_program *p, const void *const *inputs, void *const *outputs, struct plan *plan) {
  if (p->instruction_count < 0 || p->instruction_count > MAX_INSTRUCTIONS) return CK_BAD_SHAPE;
  if (p->register_count < 0 || p->register_count > MAX_INSTRUCTIONS) return CK_BAD_SHAPE;
  int written[MAX_INSTRUCTIONS];
  for (int i = 0; i < p->register_count; i++) written[i] = -1;
  plan->count = p->instruction_count;
  plan->registers = p->register_count;
  for (int i = 0; i < p->instruction_count; i++) {
    const ck_instruction *in = &p->instructions[i];
    struct step *step = &plan->steps[i];
    bool scalar[3] = {true, true, true};
    int sources = source_count(in->op);
    step->fills = true;
    for (int s = 0; s < sources; s++) {
      int status = resolve_source(p, in->sources[s], source_dtype(in, s), written, inputs, &step->sources[s], &scalar[s]);
      if (status) return status;
      if (!scalar[s]) step->fills = false;
    }
    if (!find_kernel(in, step, scalar)) return CK_UNSUPPORTED;
    ck_dtype result = result_dtype(in);
    int32_t to = in->destination.index;
    step->size = ck_dtype_size(result);
    step->destination = (struct place){.reg = -1, .step = step->size};
    if (in->destination.place == CK_PLACE_REGISTER && to >= 0 && to < p->register_count) {
      step->destination.reg = to;
      written[to] = (int)result;
    } else if (in->destination.place == CK_PLACE_OUTPUT && to >= 0 && to < p->output_count &&
               p->output_dtypes[to] == result) {
      step->destination.base = outputs ? outputs[to] : NULL;
    } else {
      return CK_BAD_SHAPE;
    }
  }
  return CK_OK;
}

static void run_step(const struct step *step, int64_t n, const char *const *from, char *to) {
  int64_t count = step->fills ? 1 : n;
  switch (step->shape) {
    case UNARY: step->kernel.unary(count, from[0], to); break;
    case BINARY: step->kernel.binary(count, from[0], from[1], to); break;
    case TERNARY: step->kernel.ternary(count, from[0], from[1], from[2], to); break;
    case SELECT: step->kernel.select(count, (const uint8_t *)from[0], from[1], from[2], to); break;
    case COPY: memmove(to, from[0], (size_t)(count * step->size)); break;
  }
  if (step->fills && n > 1) {
    uint64_t value;
    memcpy(&value, to, (size_t)step->size);
    ck_fill_serial(step->size, n, &value, to);
  }
}

static void run_tiles(const struct plan *plan, int64_t begin, int64_t end, char *registers) {
  for (int64_t start = begin; start < end; start += TILE) {
    int64_t n = CK_MIN(TILE, end - start);
    for (int32_t i = 0; i < plan->count; i++) {
      const struct step *step = &plan->steps[i];
      const char *from[3];
      for (int s = 0; s < 3; s++) {
        const struct place *place = &step->sources[s];
        from[s] = place->reg >= 0 ? registers + place->reg * TILE * MAX_ELEMENT : place->base + start * place->step;
      }
      const struct place *to = &step->destination;
      run_step(step, n, from,
               to->reg >= 0 ? registers + to->reg * TILE * MAX_ELEMENT : (char *)to->base + start * to->step);
    }
  }
}

struct fused_call {
  const struct plan *plan;
  int64_t grain;
};

enum { STACK_REGISTERS = 8 };

static void tiles_range(void *context, int64_t begin, int64_t end) {
  const struct plan *plan = context;
  begin *= TILE;
  end = CK_MIN(end * TILE, plan->n);
  if (plan->registers <= STACK_REGISTERS) {
    _Alignas(64) char registers[STACK_REGISTERS * TILE * MAX_ELEMENT];
    run_tiles(plan, begin, end, registers);
    return;
  }
  // Kept by the thread for its next program.
  static _Thread_local char *kept = NULL;
  static _Thread_local int64_t kept_registers = 0;
  if (kept_registers < plan->registers) {
    free(kept);
    kept = aligned_alloc(64, (size_t)(plan->registers * TILE * MAX_ELEMENT));
    kept_registers = kept ? plan->registers : 0;
    if (!kept) abort();
  }
  run_tiles(plan, begin, end, kept);
}

int ck_fused_check(const ck_fused_program *program) {
  struct plan plan;
  return make_plan(program, NULL, NULL, &plan);
}

int ck_fused_run(const ck_fused_program *program, const void *const *inputs, void *const *outputs, int64_t n) {
  struct plan plan;
  int status = make_plan(program, inputs, outputs, &plan);
  if (status || n <= 0) return status;
  plan.n = n;
  int64_t tiles = (n + TILE - 1) / TILE;
  ck_parallel_for(tiles, CK_MAX(1, CK_GRAIN_LIGHT / TILE / CK_MAX(1, plan.count)), tiles_range, &plan);
  return CK_OK;
}
