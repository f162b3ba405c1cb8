#include <string.h>

#include "internal.h"

/// Sizes above this would overflow products of a few of them; memory ends long before.
static const int64_t kLargestSize = (int64_t)1 << 31;

static bool within(int64_t value, int64_t least) { return value >= least && value < kLargestSize; }

static apus_dnn_status outputExtent(
    const char *axis, int64_t size, int64_t kernel, int64_t stride, int64_t dilation, int64_t before, int64_t after,
    int64_t *result) {
  int64_t reach = dilation * (kernel - 1) + 1, padded = size + before + after;
  if (padded < reach) {
    return dnnFail(
        APUS_DNN_INVALID, "convolution: a kernel reaching over %lld is larger than the padded input's %s of %lld",
        (long long)reach, axis, (long long)padded);
  }
  *result = (padded - reach) / stride + 1;
  return APUS_DNN_OK;
}

apus_dnn_status apus_dnn_conv_output_size(const apus_dnn_conv *c, int64_t *height, int64_t *width) {
  if (!within(c->batch, 1) || !within(c->inputChannels, 1) || !within(c->outputChannels, 1) || !within(c->height, 1)
      || !within(c->width, 1) || !within(c->kernelHeight, 1) || !within(c->kernelWidth, 1)) {
    return dnnFail(APUS_DNN_INVALID, "convolution: every size must be at least 1 and below 2^31");
  }
  if (!within(c->groups, 1) || c->inputChannels % c->groups != 0 || c->outputChannels % c->groups != 0) {
    return dnnFail(
        APUS_DNN_INVALID, "convolution: %lld input and %lld output channels do not divide into %lld groups",
        (long long)c->inputChannels, (long long)c->outputChannels, (long long)c->groups);
  }
  if (!within(c->strideHeight, 1) || !within(c->strideWidth, 1) || !within(c->dilationHeight, 1)
      || !within(c->dilationWidth, 1)) {
    return dnnFail(APUS_DNN_INVALID, "convolution: strides and dilations must be at least 1");
  }
  if (!within(c->padTop, 0) || !within(c->padLeft, 0) || !within(c->padBottom, 0) || !within(c->padRight, 0)) {
    return dnnFail(APUS_DNN_INVALID, "convolution: padding must not be negative");
  }
  apus_dnn_status status = outputExtent(
      "height", c->height, c->kernelHeight, c->strideHeight, c->dilationHeight, c->padTop, c->padBottom, height);
  if (status != APUS_DNN_OK) return status;
  return outputExtent(
      "width", c->width, c->kernelWidth, c->strideWidth, c->dilationWidth, c->padLeft, c->padRight, width);
}

typedef struct {
  int64_t input[4], weights[5], bias[1], output[4];
  int weightRank;
} Sizes;

static apus_dnn_status sizesOf(const apus_dnn_conv *c, Sizes *sizes) {
  int64_t height, width;
  apus_dnn_status status = apus_dnn_conv_output_size(c, &height, &width);
  if (status != APUS_DNN_OK) return status;
  memcpy(sizes->input, (int64_t[]){c->batch, c->inputChannels, c->height, c->width}, sizeof sizes->input);
  memcpy(sizes->output, (int64_t[]){c->batch, c->outputChannels, height, width}, sizeof sizes->output);
  sizes->bias[0] = c->outputChannels;
  int64_t *w = sizes->weights;
  if (c->groups > 1) *w++ = c->groups;
  *w++ = c->outputChannels / c->groups;
  *w++ = c->inputChannels / c->groups;
  *w++ = c->kernelHeight;
  *w++ = c->kernelWidth;
  sizes->weightRank = c->groups > 1 ? 5 : 4;
  return APUS_DNN_OK;
}

/// Makes the primitive descriptor of one kind; `hint` is the forward one, for gradients.
static dnnl_status_t describeKind(
    apus_dnn_conv_kind kind, const apus_dnn_conv *c, MemoryRef input, MemoryRef weights, MemoryRef bias,
    MemoryRef output, dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attributes, dnnl_primitive_desc_t *result) {
  const dnnl_dims_t strides = {c->strideHeight, c->strideWidth};
  const dnnl_dims_t dilations = {c->dilationHeight - 1, c->dilationWidth - 1};
  const dnnl_dims_t before = {c->padTop, c->padLeft};
  const dnnl_dims_t after = {c->padBottom, c->padRight};
  dnnl_alg_kind_t algorithm = dnnl_convolution_direct;
  dnnl_prop_kind_t use = kind == APUS_DNN_CONV_INFERENCE ? dnnl_forward_inference : dnnl_forward_training;
#if APUS_DNN_V3
  switch (kind) {
    case APUS_DNN_CONV_BACKWARD_INPUT:
      return dnn.convolution_backward_data_primitive_desc_create(
          result, dnnEngine, algorithm, input, weights, output, strides, dilations, before, after, hint, attributes);
    case APUS_DNN_CONV_BACKWARD_WEIGHTS:
      return dnn.convolution_backward_weights_primitive_desc_create(
          result, dnnEngine, algorithm, input, weights, bias, output, strides, dilations, before, after, hint,
          attributes);
    default:
      return dnn.convolution_forward_primitive_desc_create(
          result, dnnEngine, use, algorithm, input, weights, bias, output, strides, dilations, before, after,
          attributes);
  }
#else
  dnnl_convolution_desc_t operation;
  dnnl_status_t status;
  switch (kind) {
    case APUS_DNN_CONV_BACKWARD_INPUT:
      status = dnn.dilated_convolution_backward_data_desc_init(
          &operation, algorithm, input, weights, output, strides, dilations, before, after);
      break;
    case APUS_DNN_CONV_BACKWARD_WEIGHTS:
      status = dnn.dilated_convolution_backward_weights_desc_init(
          &operation, algorithm, input, weights, bias, output, strides, dilations, before, after);
      break;
    default:
      status = dnn.dilated_convolution_forward_desc_init(
          &operation, use, algorithm, input, weights, bias, output, strides, dilations, before, after);
  }
  if (status != dnnl_success) return status;
  return dnn.primitive_desc_create(result, &operation, attributes, dnnEngine, hint);
#endif
}

/// The forward descriptor a gradient is matched to. It decides nothing about the gradient's own layouts.
static apus_dnn_status describeHint(const apus_dnn_conv *c, const Sizes *sizes, dnnl_primitive_desc_t *result) {
  Operand input = {0}, weights = {0}, output = {0};
  dnnl_primitive_attr_t attributes = NULL;
  apus_dnn_status status = dnnOperand("input", NULL, 4, sizes->input, &input);
  if (status == APUS_DNN_OK) status = dnnOperand("weights", NULL, sizes->weightRank, sizes->weights, &weights);
  if (status == APUS_DNN_OK) status = dnnOperand("output", NULL, 4, sizes->output, &output);
  if (status == APUS_DNN_OK) status = dnnAttributes(&attributes);
  if (status == APUS_DNN_OK) {
    dnnl_status_t made = describeKind(
        APUS_DNN_CONV_TRAINING, c, input.ref, weights.ref, NULL, output.ref, NULL, attributes, result);
    status = dnnCheck(made, "convolution");
  }
  if (attributes != NULL) dnn.primitive_attr_destroy(attributes);
  dnnOperandDestroy(&input);
  dnnOperandDestroy(&weights);
  dnnOperandDestroy(&output);
  return status;
}

static apus_dnn_status compile(
    apus_dnn_conv_kind kind, const apus_dnn_conv *c, const Sizes *sizes, const OpKey *key, apus_dnn_op_t *result) {
  bool forward = kind == APUS_DNN_CONV_INFERENCE || kind == APUS_DNN_CONV_TRAINING;
  bool biased = c->bias != 0 && kind != APUS_DNN_CONV_BACKWARD_INPUT;
  Operand input = {0}, weights = {0}, output = {0};
  apus_dnn_layout_t bias = NULL;
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_primitive_desc_t hint = NULL, descriptor = NULL;
  apus_dnn_status status = dnnOperand("convolution input", key->layouts[0], 4, sizes->input, &input);
  if (status == APUS_DNN_OK) {
    status = dnnOperand("convolution weights", key->layouts[1], sizes->weightRank, sizes->weights, &weights);
  }
  if (status == APUS_DNN_OK) status = dnnOperand("convolution output", key->layouts[2], 4, sizes->output, &output);
  if (status == APUS_DNN_OK && biased) status = apus_dnn_layout_create(1, sizes->bias, NULL, &bias);
  if (status == APUS_DNN_OK) status = dnnAttributes(&attributes);
  if (status == APUS_DNN_OK && !forward) status = describeHint(c, sizes, &hint);
  if (status == APUS_DNN_OK) {
    dnnl_status_t made = describeKind(
        kind, c, input.ref, weights.ref, bias != NULL ? MEMORY_REF(bias) : NULL, output.ref, hint, attributes,
        &descriptor);
    status = dnnCheck(made, "convolution");
  }
  if (status == APUS_DNN_OK) {
    static const int plainForward[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    static const int biasedForward[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST};
    static const int backwardInput[] = {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC};
    static const int backwardWeights[] = {
      DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS};
    if (forward) {
      status = dnnOpCreate(descriptor, biased ? biasedForward : plainForward, biased ? 4 : 3, result);
    } else if (kind == APUS_DNN_CONV_BACKWARD_INPUT) {
      status = dnnOpCreate(descriptor, backwardInput, 3, result);
    } else {
      status = dnnOpCreate(descriptor, backwardWeights, biased ? 4 : 3, result);
    }
  }
  if (hint != NULL) dnn.primitive_desc_destroy(hint);
  if (attributes != NULL) dnn.primitive_attr_destroy(attributes);
  apus_dnn_layout_release(bias);
  dnnOperandDestroy(&input);
  dnnOperandDestroy(&weights);
  dnnOperandDestroy(&output);
  return status;
}

apus_dnn_status apus_dnn_convolution(
    apus_dnn_conv_kind kind, const apus_dnn_conv *conv, apus_dnn_layout_t input, apus_dnn_layout_t weights,
    apus_dnn_layout_t output, apus_dnn_op_t *result) {
  OpKey key = dnnKey(kFamilyConvolution, (int)kind);
  key.what.conv = *conv;
  key.layouts[0] = input;
  key.layouts[1] = weights;
  key.layouts[2] = output;
  apus_dnn_op_t op = dnnCacheFind(&key);
  if (op == NULL) {
    if (kind < APUS_DNN_CONV_INFERENCE || kind > APUS_DNN_CONV_BACKWARD_WEIGHTS) {
      return dnnFail(APUS_DNN_INVALID, "convolution: no kind has the number %d", (int)kind);
    }
    Sizes sizes;
    apus_dnn_status status = sizesOf(conv, &sizes);
    if (status != APUS_DNN_OK) return status;
    status = compile(kind, conv, &sizes, &key, &op);
    if (status != APUS_DNN_OK) return status;
    op = dnnCacheInsert(&key, op);
  }
  *result = op;
  return APUS_DNN_OK;
}

apus_dnn_status apus_dnn_conv_plain_input(const apus_dnn_conv *conv, apus_dnn_layout_t *result) {
  Sizes sizes;
  apus_dnn_status status = sizesOf(conv, &sizes);
  return status == APUS_DNN_OK ? apus_dnn_layout_create(4, sizes.input, NULL, result) : status;
}

apus_dnn_status apus_dnn_conv_plain_weights(const apus_dnn_conv *conv, apus_dnn_layout_t *result) {
  Sizes sizes;
  apus_dnn_status status = sizesOf(conv, &sizes);
  return status == APUS_DNN_OK ? apus_dnn_layout_create(sizes.weightRank, sizes.weights, NULL, result) : status;
}

apus_dnn_status apus_dnn_conv_plain_output(const apus_dnn_conv *conv, apus_dnn_layout_t *result) {
  Sizes sizes;
  apus_dnn_status status = sizesOf(conv, &sizes);
  return status == APUS_DNN_OK ? apus_dnn_layout_create(4, sizes.output, NULL, result) : status;
}
