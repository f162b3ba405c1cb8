#include <stdlib.h>
#include <string.h>

#include "internal.h"

int apus_dnn_use_threads(int count) {
  int before = apus_omp.max_threads();
  if (count >= 1 && count != before) apus_omp.set_num_threads(count);
  return before;
}

int apus_dnn_version(void) {
  if (dnnReady() != APUS_DNN_OK) return 0;
  const dnnl_version_t *version = dnn.version();
  return version->major * 10000 + version->minor * 100 + version->patch;
}

apus_dnn_op_t apus_dnn_op_retain(apus_dnn_op_t op) {
  atomic_fetch_add_explicit(&op->references, 1, memory_order_relaxed);
  return op;
}

void apus_dnn_op_release(apus_dnn_op_t op) {
  if (op == NULL || atomic_fetch_sub_explicit(&op->references, 1, memory_order_acq_rel) != 1) return;
  for (int i = 0; i <= op->count; i++) {
    if (op->memories[i] != NULL) dnn.memory_destroy(op->memories[i]);
  }
  for (int i = 0; i < op->count; i++) apus_dnn_layout_release(op->layouts[i]);
  if (op->primitive != NULL) dnn.primitive_destroy(op->primitive);
  free(op);
}

int apus_dnn_op_operand_count(apus_dnn_op_t op) { return op->count; }
size_t apus_dnn_op_scratch_bytes(apus_dnn_op_t op) { return op->scratchBytes; }
const char *apus_dnn_op_kernel(apus_dnn_op_t op) { return op->kernel; }

apus_dnn_layout_t apus_dnn_op_layout(apus_dnn_op_t op, int operand) {
  return operand >= 0 && operand < op->count ? op->layouts[operand] : NULL;
}

apus_dnn_status dnnAttributes(dnnl_primitive_attr_t *result) {
  apus_dnn_status ready = dnnReady();
  if (ready != APUS_DNN_OK) return ready;
  dnnl_primitive_attr_t attributes;
  dnnl_status_t status = dnn.primitive_attr_create(&attributes);
  if (status != dnnl_success) return dnnCheck(status, "attributes");
  status = dnn.primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
  if (status != dnnl_success) {
    dnn.primitive_attr_destroy(attributes);
    return dnnCheck(status, "attributes");
  }
  *result = attributes;
  return APUS_DNN_OK;
}

static apus_dnn_status fill(apus_dnn_op_t op, dnnl_primitive_desc_t descriptor, const int *arguments, int count) {
  for (int i = 0; i < count; i++) {
    MemoryRef memory = dnn.primitive_desc_query_md(descriptor, dnnl_query_exec_arg_md, arguments[i]);
    if (memory == NULL) return dnnFail(APUS_DNN_FAILED, "oneDNN does not know its argument %d", arguments[i]);
    op->arguments[i] = arguments[i];
    apus_dnn_status status = dnnLayoutFrom(memory, &op->layouts[i]);
    if (status != APUS_DNN_OK) return status;
    op->count = i + 1;
    dnnl_status_t made = dnn.memory_create(&op->memories[i], memory, dnnEngine, DNNL_MEMORY_NONE);
    if (made != dnnl_success) return dnnCheck(made, "operand");
  }
  MemoryRef scratch = dnn.primitive_desc_query_md(descriptor, dnnl_query_scratchpad_md, 0);
  op->scratchBytes = scratch == NULL ? 0 : dnn.memory_desc_get_size(scratch);
  if (op->scratchBytes > 0) {
    dnnl_status_t made = dnn.memory_create(&op->memories[count], scratch, dnnEngine, DNNL_MEMORY_NONE);
    if (made != dnnl_success) return dnnCheck(made, "scratchpad");
  }
  const char *kernel = NULL;
  if (dnn.primitive_desc_query(descriptor, dnnl_query_impl_info_str, 0, &kernel) == dnnl_success && kernel != NULL) {
    strncpy(op->kernel, kernel, sizeof op->kernel - 1);
  }
  return dnnCheck(dnn.primitive_create(&op->primitive, descriptor), "compiling an operation");
}

apus_dnn_status dnnOpCreate(
    dnnl_primitive_desc_t descriptor, const int *arguments, int count, apus_dnn_op_t *result) {
  apus_dnn_op_t op = calloc(1, sizeof *op);
  apus_dnn_status status;
  if (op == NULL) {
    status = dnnFail(APUS_DNN_OUT_OF_MEMORY, "operation: out of memory");
  } else {
    atomic_init(&op->references, 1);
    atomic_flag_clear(&op->busy);
    status = fill(op, descriptor, arguments, count);
    if (status != APUS_DNN_OK) {
      apus_dnn_op_release(op);
    } else {
      *result = op;
    }
  }
  dnn.primitive_desc_destroy(descriptor);
  return status;
}

/// Runs with memory objects of its own, for the rare case that another thread holds the operation's.
static apus_dnn_status runApart(apus_dnn_op_t op, void *const *operands, void *scratch) {
  dnnl_exec_arg_t arguments[kMaxOperands + 1];
  int made = 0, total = op->count + (op->scratchBytes > 0 ? 1 : 0);
  dnnl_status_t status = dnnl_success;
  for (int i = 0; i < total && status == dnnl_success; i++) {
    bool isScratch = i == op->count;
#if APUS_DNN_V3
    MemoryRef memory = NULL;
    status = dnn.memory_get_memory_desc(op->memories[i], &memory);
#else
    const dnnl_memory_desc_t *memory = NULL;
    status = dnn.memory_get_memory_desc(op->memories[i], &memory);
#endif
    if (status != dnnl_success) break;
    arguments[i].arg = isScratch ? DNNL_ARG_SCRATCHPAD : op->arguments[i];
    status = dnn.memory_create(&arguments[i].memory, memory, dnnEngine, isScratch ? scratch : operands[i]);
    if (status == dnnl_success) made++;
  }
  if (status == dnnl_success) status = dnn.primitive_execute(op->primitive, dnnStream, total, arguments);
  for (int i = 0; i < made; i++) dnn.memory_destroy(arguments[i].memory);
  return dnnCheck(status, "run");
}

apus_dnn_status apus_dnn_run(apus_dnn_op_t op, void *const *operands, int count, void *scratch) {
  if (count != op->count) {
    return dnnFail(APUS_DNN_INVALID, "run: the operation takes %d operands, not %d", op->count, count);
  }
  if (op->scratchBytes > 0 && scratch == NULL) {
    return dnnFail(APUS_DNN_INVALID, "run: the operation needs a scratchpad of %zu bytes", op->scratchBytes);
  }
  if (atomic_flag_test_and_set_explicit(&op->busy, memory_order_acquire)) return runApart(op, operands, scratch);
  dnnl_exec_arg_t arguments[kMaxOperands + 1];
  int total = op->count;
  dnnl_status_t status = dnnl_success;
  for (int i = 0; i < op->count && status == dnnl_success; i++) {
    arguments[i].arg = op->arguments[i];
    arguments[i].memory = op->memories[i];
    status = dnn.memory_set_data_handle(op->memories[i], operands[i]);
  }
  if (op->scratchBytes > 0 && status == dnnl_success) {
    arguments[total].arg = DNNL_ARG_SCRATCHPAD;
    arguments[total].memory = op->memories[total];
    status = dnn.memory_set_data_handle(op->memories[total], scratch);
    total++;
  }
  if (status == dnnl_success) status = dnn.primitive_execute(op->primitive, dnnStream, total, arguments);
  atomic_flag_clear_explicit(&op->busy, memory_order_release);
  return dnnCheck(status, "run");
}
