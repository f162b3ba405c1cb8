#include "internal.h"

static apus_dnn_status checkMatmul(apus_dnn_layout_t a, apus_dnn_layout_t b, int64_t n, apus_dnn_layout_t output) {
  int rank = a->rank;
  if (rank < 2 || output->rank != rank || (b != NULL && b->rank != rank)) {
    return dnnFail(APUS_DNN_INVALID, "matmul: operands must have one rank of at least 2");
  }
  bool fits = output->dims[rank - 2] == a->dims[rank - 2] && output->dims[rank - 1] == n;
  if (b != NULL) fits = fits && b->dims[rank - 2] == a->dims[rank - 1] && b->dims[rank - 1] == n;
  for (int i = 0; fits && i < rank - 2; i++) {
    int64_t size = output->dims[i];
    fits = (a->dims[i] == size || a->dims[i] == 1) && (b == NULL || b->dims[i] == size || b->dims[i] == 1);
  }
  if (!fits) return dnnFail(APUS_DNN_INVALID, "matmul: the sizes of a, b and output do not fit together");
  return APUS_DNN_OK;
}

static apus_dnn_status compileMatmul(const OpKey *key, apus_dnn_op_t *result) {
  apus_dnn_layout_t a = key->layouts[0], output = key->layouts[2];
  int rank = a->rank;
  int64_t bDims[APUS_DNN_MAX_RANK], biasDims[APUS_DNN_MAX_RANK];
  for (int i = 0; i < rank; i++) {
    bDims[i] = output->dims[i];
    biasDims[i] = 1;
  }
  bDims[rank - 2] = a->dims[rank - 1];
  biasDims[rank - 1] = key->what.matmul.n;
  Operand b = {0};
  apus_dnn_layout_t bias = NULL;
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_primitive_desc_t descriptor = NULL;
  apus_dnn_layout_t given = key->layouts[1];
  apus_dnn_status status = dnnOperand("matmul b", given, rank, given != NULL ? given->dims : bDims, &b);
  if (status == APUS_DNN_OK && key->what.matmul.bias) status = apus_dnn_layout_create(rank, biasDims, NULL, &bias);
  if (status == APUS_DNN_OK) status = dnnAttributes(&attributes);
  if (status == APUS_DNN_OK) {
    MemoryRef biasRef = bias != NULL ? MEMORY_REF(bias) : NULL;
#if APUS_DNN_V3
    dnnl_status_t made = dnn.matmul_primitive_desc_create(
        &descriptor, dnnEngine, MEMORY_REF(a), b.ref, biasRef, MEMORY_REF(output), attributes);
#else
    dnnl_matmul_desc_t operation;
    dnnl_status_t made = dnn.matmul_desc_init(&operation, MEMORY_REF(a), b.ref, biasRef, MEMORY_REF(output));
    if (made == dnnl_success) {
      made = dnn.primitive_desc_create(&descriptor, &operation, attributes, dnnEngine, NULL);
    }
#endif
    status = dnnCheck(made, "matmul");
  }
  if (status == APUS_DNN_OK) {
    static const int plain[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    static const int biased[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST};
    status = dnnOpCreate(descriptor, bias != NULL ? biased : plain, bias != NULL ? 4 : 3, result);
  }
  if (attributes != NULL) dnn.primitive_attr_destroy(attributes);
  apus_dnn_layout_release(bias);
  dnnOperandDestroy(&b);
  return status;
}

apus_dnn_status apus_dnn_matmul(
    apus_dnn_layout_t a, apus_dnn_layout_t b, int64_t n, apus_dnn_layout_t output, bool bias,
    apus_dnn_op_t *result) {
  OpKey key = dnnKey(kFamilyMatmul, 0);
  key.what.matmul.n = n;
  key.what.matmul.bias = bias;
  key.layouts[0] = a;
  key.layouts[1] = b;
  key.layouts[2] = output;
  apus_dnn_op_t op = dnnCacheFind(&key);
  if (op == NULL) {
    apus_dnn_status status = checkMatmul(a, b, n, output);
    if (status == APUS_DNN_OK) status = compileMatmul(&key, &op);
    if (status != APUS_DNN_OK) return status;
    op = dnnCacheInsert(&key, op);
  }
  *result = op;
  return APUS_DNN_OK;
}
