#include "internal.h"

static apus_dnn_status sizesOf(const apus_dnn_pool *p, int64_t *input, int64_t *output) {
  const int64_t positive[] = {p->batch,        p->channels,    p->height,       p->width,
                              p->kernelHeight, p->kernelWidth, p->strideHeight, p->strideWidth};
  for (size_t i = 0; i < sizeof positive / sizeof *positive; i++) {
    if (positive[i] < 1 || positive[i] > INT32_MAX) {
      return dnnFail(APUS_DNN_INVALID, "pooling: every size and stride must be at least 1 and below 2^31");
    }
  }
  if (p->padTop < 0 || p->padLeft < 0 || p->padBottom < 0 || p->padRight < 0 || p->padTop >= p->kernelHeight
      || p->padBottom >= p->kernelHeight || p->padLeft >= p->kernelWidth || p->padRight >= p->kernelWidth) {
    return dnnFail(APUS_DNN_INVALID, "pooling: padding must be between 0 and one less than the window");
  }
  int64_t height = p->height + p->padTop + p->padBottom - p->kernelHeight;
  int64_t width = p->width + p->padLeft + p->padRight - p->kernelWidth;
  if (height < 0 || width < 0) {
    return dnnFail(APUS_DNN_INVALID, "pooling: the window is larger than the padded input");
  }
  input[0] = output[0] = p->batch;
  input[1] = output[1] = p->channels;
  input[2] = p->height;
  input[3] = p->width;
  output[2] = height / p->strideHeight + 1;
  output[3] = width / p->strideWidth + 1;
  return APUS_DNN_OK;
}

static dnnl_alg_kind_t algorithmOf(const apus_dnn_pool *p) {
  switch (p->kind) {
    case APUS_DNN_POOL_MAX: return dnnl_pooling_max;
    case APUS_DNN_POOL_AVERAGE_INCLUDE_PADDING: return dnnl_pooling_avg_include_padding;
    case APUS_DNN_POOL_AVERAGE_EXCLUDE_PADDING: return dnnl_pooling_avg_exclude_padding;
    default: return dnnl_alg_kind_undef;
  }
}

/// Makes a descriptor: forward for training or inference, or, given the forward one as hint, backward.
static dnnl_status_t describe(
    const apus_dnn_pool *p, bool training, MemoryRef input, MemoryRef output, dnnl_primitive_desc_t hint,
    dnnl_primitive_attr_t attributes, dnnl_primitive_desc_t *result) {
  const dnnl_dims_t strides = {p->strideHeight, p->strideWidth};
  const dnnl_dims_t kernel = {p->kernelHeight, p->kernelWidth};
  const dnnl_dims_t before = {p->padTop, p->padLeft};
  const dnnl_dims_t after = {p->padBottom, p->padRight};
  dnnl_prop_kind_t use = training ? dnnl_forward_training : dnnl_forward_inference;
#if APUS_DNN_V3
  const dnnl_dims_t dilations = {0, 0};
  if (hint != NULL) {
    return dnnl_pooling_backward_primitive_desc_create(
        result, dnnEngine(), algorithmOf(p), input, output, strides, kernel, dilations, before, after, hint,
        attributes);
  }
  return dnnl_pooling_forward_primitive_desc_create(
      result, dnnEngine(), use, algorithmOf(p), input, output, strides, kernel, dilations, before, after, attributes);
#else
  dnnl_pooling_desc_t operation;
  dnnl_status_t status = hint != NULL
      ? dnnl_pooling_backward_desc_init(
            &operation, algorithmOf(p), input, output, strides, kernel, before, after)
      : dnnl_pooling_forward_desc_init(
            &operation, use, algorithmOf(p), input, output, strides, kernel, before, after);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(result, &operation, attributes, dnnEngine(), hint);
#endif
}

static apus_dnn_status compile(
    const apus_dnn_pool *p, bool training, bool backward, apus_dnn_layout_t given, apus_dnn_op_t *result) {
  int64_t inputDims[4], outputDims[4];
  apus_dnn_status status = sizesOf(p, inputDims, outputDims);
  if (status != APUS_DNN_OK) return status;
  if (algorithmOf(p) == dnnl_alg_kind_undef) {
    return dnnFail(APUS_DNN_INVALID, "pooling: no kind has the number %lld", (long long)p->kind);
  }
  Operand input = {0}, output = {0};
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_primitive_desc_t forward = NULL, descriptor = NULL;
  apus_dnn_layout_t plain = NULL;
  status = APUS_DNN_OK;
  if (given == NULL) status = apus_dnn_layout_create(4, inputDims, NULL, &plain);
  if (status == APUS_DNN_OK) {
    status = dnnOperand("pooling input", given != NULL ? given : plain, 4, inputDims, &input);
  }
  if (status == APUS_DNN_OK) status = dnnOperand("pooling output", NULL, 4, outputDims, &output);
  if (status == APUS_DNN_OK) status = dnnAttributes(APUS_DNN_POST_NONE, &attributes);
  if (status == APUS_DNN_OK) {
    status = dnnCheck(
        describe(p, training || backward, input.ref, output.ref, NULL, attributes, &forward), "pooling");
  }
  bool workspace = p->kind == APUS_DNN_POOL_MAX && (training || backward);
  if (status == APUS_DNN_OK && backward) {
    MemoryRef chosen = dnnl_primitive_desc_query_md(forward, dnnl_query_dst_md, 0);
    status = dnnCheck(describe(p, true, input.ref, chosen, forward, attributes, &descriptor), "pooling gradient");
    if (status == APUS_DNN_OK) {
      static const int arguments[] = {DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC, DNNL_ARG_WORKSPACE};
      status = dnnOpCreate(descriptor, arguments, workspace ? 3 : 2, result);
    }
  } else if (status == APUS_DNN_OK) {
    static const int arguments[] = {DNNL_ARG_SRC, DNNL_ARG_DST, DNNL_ARG_WORKSPACE};
    status = dnnOpCreate(forward, arguments, workspace ? 3 : 2, result);
    forward = NULL;
  }
  if (forward != NULL) dnnl_primitive_desc_destroy(forward);
  if (attributes != NULL) dnnl_primitive_attr_destroy(attributes);
  apus_dnn_layout_release(plain);
  dnnOperandDestroy(&input);
  dnnOperandDestroy(&output);
  return status;
}

static apus_dnn_status lookUp(
    const apus_dnn_pool *pool, bool training, bool backward, apus_dnn_layout_t input, apus_dnn_op_t *result) {
  OpKey key = dnnKey(backward ? kFamilyPoolingBackward : kFamilyPooling, training);
  key.what.pool = *pool;
  key.layouts[0] = input;
  apus_dnn_op_t op = dnnCacheFind(&key);
  if (op == NULL) {
    apus_dnn_status status = compile(pool, training, backward, input, &op);
    if (status != APUS_DNN_OK) return status;
    op = dnnCacheInsert(&key, op);
  }
  *result = op;
  return APUS_DNN_OK;
}

apus_dnn_status apus_dnn_pooling(
    const apus_dnn_pool *pool, bool training, apus_dnn_layout_t input, apus_dnn_op_t *result) {
  return lookUp(pool, training, false, input, result);
}

apus_dnn_status apus_dnn_pooling_backward(
    const apus_dnn_pool *pool, apus_dnn_layout_t input, apus_dnn_op_t *result) {
  return lookUp(pool, true, true, input, result);
}
