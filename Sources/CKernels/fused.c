// Fused element-wise programs: an interpreter whose every instruction is a kernel call over one tile.
#include "internal.h"

#include <stdlib.h>

enum { TILE = 1024, MAX_INSTRUCTIONS = 256, SLOT_PADDING = 192, STACK_BYTES = 1 << 16, MAX_STREAMS = 16, CACHE_LINE = 64,
       FAR_BYTES = 4 << 20 };

enum shape { UNARY, BINARY, TERNARY, SELECT, CHOOSE, COPY };

// An operand with its address worked out: at `base`, advancing `step` bytes an element. Registers are numbered, since
// each thread has its own.
struct place {
  const char *base;
  int64_t step;
  int32_t reg;     // -1: not a register
  int32_t source;  // input or output number, -1: neither
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
  bool scalar[3];
  bool fills;    // all sources are scalars: computed once, then spread over the tile
  bool detours;  // the destination is a source of another element size: written elsewhere, then copied
};

struct plan {
  int64_t n, largest;        // elements; bytes of the largest dtype's
  int32_t count, registers;  // the program's registers, those that hold outputs back, and last the detour
  int32_t stream_count;
  struct place streams[MAX_STREAMS];  // the arrays that are read, each once
  struct step steps[2 * MAX_INSTRUCTIONS];
};

static int source_count(ck_op op) {
  if (op <= CK_GREATER_EQUAL) return 2;
  if (op == CK_CAST || op == CK_COPY || op <= CK_NORMAL_PDF) return 1;
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
      step->shape = a ? CHOOSE : SELECT;
      if (a) return ck_dtype_size(in->dtype) > 0;
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
  *place = (struct place){.reg = -1, .source = -1};
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
      place->source = i;
      return CK_OK;
    case CK_PLACE_IMMEDIATE:
      if (i < 0 || i >= p->immediate_count) return CK_BAD_SHAPE;
      *scalar = true;
      place->base = (const char *)(p->immediates + i);  // the low bytes come first on every machine served
      return CK_OK;
    default: return CK_BAD_SHAPE;
  }
}

// An output that shares memory with an input is written at the end of the tile if the input is read after it.
static void hold_back_outputs(struct plan *plan) {
  int32_t program_steps = plan->count;
  for (int32_t i = 0; i < program_steps; i++) {
    struct place *to = &plan->steps[i].destination;
    if (to->reg >= 0 || !to->base) continue;
    bool read_later = false;
    for (int32_t later = i + 1; later < program_steps; later++)
      for (int s = 0; s < 3; s++) {
        const struct place *from = &plan->steps[later].sources[s];
        if (from->source >= 0 && from->base == to->base) read_later = true;
      }
    if (!read_later) continue;
    struct step *copy = &plan->steps[plan->count++];
    *copy = (struct step){.shape = COPY, .size = plan->steps[i].size, .destination = *to};
    *to = (struct place){.reg = plan->registers++, .step = copy->size, .source = -1};
    copy->sources[0] = *to;
    copy->sources[1].reg = copy->sources[2].reg = -1;
  }
}

// Arrays so large that they are not in a near cache; asking for what is there would only cost.
static void find_streams(struct plan *plan) {
  int64_t step = 0;
  for (int32_t i = 0; i < plan->count; i++)
    for (int s = 0; s < 3; s++) {
      const struct place *place = &plan->steps[i].sources[s];
      bool known = place->source < 0 || place->step == 0;
      for (int32_t k = 0; k < plan->stream_count; k++) known |= plan->streams[k].base == place->base;
      if (!known && plan->stream_count < MAX_STREAMS) plan->streams[plan->stream_count++] = *place, step += place->step;
    }
  if (plan->n * step < FAR_BYTES) plan->stream_count = 0;
}

static int make_plan(const ck_fused_program *p, const void *const *inputs, void *const *outputs, struct plan *plan) {
  if (p->instruction_count < 0 || p->instruction_count > MAX_INSTRUCTIONS) return CK_BAD_SHAPE;
  if (p->register_count < 0 || p->register_count > MAX_INSTRUCTIONS) return CK_BAD_SHAPE;
  int written[MAX_INSTRUCTIONS];
  for (int i = 0; i < p->register_count; i++) written[i] = -1;
  plan->count = p->instruction_count;
  plan->registers = p->register_count;
  int64_t largest = 1;
  for (int i = 0; i < p->instruction_count; i++) {
    const ck_instruction *in = &p->instructions[i];
    struct step *step = &plan->steps[i];
    *step = (struct step){.fills = true, .scalar = {true, true, true}};
    for (int s = 0; s < 3; s++) step->sources[s].reg = step->sources[s].source = -1;
    ck_dtype result = result_dtype(in);
    step->size = ck_dtype_size(result);
    largest = CK_MAX(largest, step->size);
    int32_t to = in->destination.index;
    for (int s = 0; s < source_count(in->op); s++) {
      ck_dtype dtype = source_dtype(in, s);
      int status = resolve_source(p, in->sources[s], dtype, written, inputs, &step->sources[s], &step->scalar[s]);
      if (status) return status;
      if (!step->scalar[s]) step->fills = false;
      bool same = in->destination.place == CK_PLACE_REGISTER && step->sources[s].reg == to;
      if (same && ck_dtype_size(dtype) != step->size) step->detours = true;
    }
    if (!find_kernel(in, step, step->scalar)) return CK_UNSUPPORTED;
    step->destination = (struct place){.reg = -1, .step = step->size, .source = -1};
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
  hold_back_outputs(plan);
  plan->registers++;
  plan->largest = largest;
  return CK_OK;
}

static void run_step(const struct step *step, int64_t n, const char *const *from, char *to) {
  int64_t count = step->fills ? 1 : n;
  switch (step->shape) {
    case UNARY: step->kernel.unary(count, from[0], to); break;
    case BINARY: step->kernel.binary(count, from[0], from[1], to); break;
    case TERNARY: step->kernel.ternary(count, from[0], from[1], from[2], to); break;
    case SELECT: step->kernel.select(count, from[0], from[1], from[2], to); break;
    case COPY: memmove(to, from[0], (size_t)(count * step->size)); break;
    case CHOOSE: {
      int s = *from[0] ? 1 : 2;
      if (step->scalar[s])
        ck_fill_serial(step->size, n, from[s], to);
      else
        memmove(to, from[s], (size_t)(n * step->size));
      return;
    }
  }
  if (step->fills && n > 1) {
    uint64_t value = 0;
    memcpy(&value, to, (size_t)step->size);
    ck_fill_serial(step->size, n, &value, to);
  }
}

// Asks for a share of the next tile's elements while this tile is computed: a tile is about a page, where the
// processor's own prefetching ends.
static void prefetch_share(const struct plan *plan, int64_t start, int64_t n, int32_t share) {
  for (int32_t k = 0; k < plan->stream_count; k++) {
    const struct place *stream = &plan->streams[k];
    int64_t bytes = n * stream->step, lines = (bytes + CACHE_LINE - 1) / CACHE_LINE;
    const char *from = stream->base + start * stream->step;
    for (int64_t line = lines * share / plan->count; line < lines * (share + 1) / plan->count; line++)
      __builtin_prefetch(from + line * CACHE_LINE, 0, 2);
  }
}

// `slot`: bytes from one register to the next.
static void run_tiles(const struct plan *plan, int64_t begin, int64_t end, char *registers, int64_t slot, int64_t tile) {
  for (int64_t start = begin; start < end; start += tile) {
    int64_t n = CK_MIN(tile, end - start), next = start + n, ahead = CK_MIN(tile, end - next);
    for (int32_t i = 0; i < plan->count; i++) {
      if (ahead > 0) prefetch_share(plan, next, ahead, i);
      const struct step *step = &plan->steps[i];
      const char *from[3];
      for (int s = 0; s < 3; s++) {
        const struct place *place = &step->sources[s];
        from[s] = place->reg >= 0 ? registers + place->reg * slot : place->base + start * place->step;
      }
      const struct place *place = &step->destination;
      char *to = place->reg >= 0 ? registers + place->reg * slot : (char *)place->base + start * place->step;
      char *detour = registers + (plan->registers - 1) * slot;
      run_step(step, n, from, step->detours ? detour : to);
      if (step->detours) memcpy(to, detour, (size_t)(n * step->size));
    }
  }
}

static void tiles_range(void *context, int64_t begin, int64_t end) {
  const struct plan *plan = context;
  begin *= TILE;
  end = CK_MIN(end * TILE, plan->n);
  int64_t slot = TILE * plan->largest + SLOT_PADDING, bytes = plan->registers * slot;
  char *registers = bytes > STACK_BYTES ? malloc((size_t)bytes) : NULL;
  if (registers) {
    run_tiles(plan, begin, end, registers, slot, TILE);
    free(registers);
    return;
  }
  _Alignas(CACHE_LINE) char few[STACK_BYTES];
  // Where memory can't be had, many registers are short ones.
  if (bytes > STACK_BYTES) slot = STACK_BYTES / plan->registers / CACHE_LINE * CACHE_LINE;
  run_tiles(plan, begin, end, few, slot, CK_MIN(TILE, slot / plan->largest));
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
  plan.stream_count = 0;
  if (n >= FAR_BYTES / 64) find_streams(&plan);
  int64_t tiles = (n + TILE - 1) / TILE;
  ck_parallel_for(tiles, CK_MAX(1, CK_GRAIN_LIGHT / TILE / CK_MAX(1, plan.count)), tiles_range, &plan);
  return CK_OK;
}
