#include "internal.h"

apus_dnn_status apus_dnn_reorder(apus_dnn_layout_t source, apus_dnn_layout_t destination, apus_dnn_op_t *result) {
  OpKey key = dnnKey(kFamilyReorder, 0);
  key.layouts[0] = source;
  key.layouts[1] = destination;
  apus_dnn_op_t op = dnnCacheFind(&key);
  if (op == NULL) {
    bool same = source->rank == destination->rank;
    for (int i = 0; same && i < source->rank; i++) same = source->dims[i] == destination->dims[i];
    if (!same) return dnnFail(APUS_DNN_INVALID, "reorder: source and destination differ in their sizes");
    dnnl_primitive_attr_t attributes;
    apus_dnn_status status = dnnAttributes(&attributes);
    if (status != APUS_DNN_OK) return status;
    dnnl_primitive_desc_t descriptor = NULL;
    dnnl_status_t made = dnn.reorder_primitive_desc_create(
        &descriptor, MEMORY_REF(source), dnnEngine, MEMORY_REF(destination), dnnEngine, attributes);
    dnn.primitive_attr_destroy(attributes);
    if (made != dnnl_success) return dnnCheck(made, "reorder");
    static const int arguments[] = {DNNL_ARG_FROM, DNNL_ARG_TO};
    status = dnnOpCreate(descriptor, arguments, 2, &op);
    if (status != APUS_DNN_OK) return status;
    op = dnnCacheInsert(&key, op);
  }
  *result = op;
  return APUS_DNN_OK;
}
