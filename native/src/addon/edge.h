#pragma once
#include "addon/call.h"

/** Functions that exist only at the JavaScript edge: settings, and elements in and out. See addon.ts. */
namespace forge::addon {

// process.cc
Status init(Arguments& arguments, napi_value& result);
Status device_probe(Arguments& arguments, napi_value& result);
Status backend_info(Arguments& arguments, napi_value& result);
Status supports_op(Arguments& arguments, napi_value& result);
Status fallbacks(Arguments& arguments, napi_value& result);
Status memory_stats(Arguments& arguments, napi_value& result);
Status reset_peak(Arguments& arguments, napi_value& result);
Status empty_cache(Arguments& arguments, napi_value& result);

// captured_step.cc
Status begin_capture_edge(Arguments& arguments, napi_value& result);
Status end_capture_edge(Arguments& arguments, napi_value& result);
Status abort_capture_edge(Arguments& arguments, napi_value& result);
Status replay_capture(Arguments& arguments, napi_value& result);
Status free_capture(Arguments& arguments, napi_value& result);

// elements.cc
Status alloc(Arguments& arguments, napi_value& result);
Status free_handle(Arguments& arguments, napi_value& result);
Status shape_of(Arguments& arguments, napi_value& result);
Status dtype_of(Arguments& arguments, napi_value& result);
Status write_elements(Arguments& arguments, napi_value& result);
Status read_elements(Arguments& arguments, napi_value& result);
Status read_into(Arguments& arguments, napi_value& result);
Status item(Arguments& arguments, napi_value& result);
Status read_weights(Arguments& arguments, napi_value& result);
Status prefetch_file(Arguments& arguments, napi_value& result);
Status encode_weights(Arguments& arguments, napi_value& result);

/** Whether the addon has a function of that name. exports.cc */
bool is_exported(const char* name);

// destination.cc: ops that may return a handle they were given
Status matmul(Arguments& arguments, napi_value& result);
Status matmul_bf16(Arguments& arguments, napi_value& result);
Status cross_entropy_backward(Arguments& arguments, napi_value& result);

}  // namespace forge::addon
