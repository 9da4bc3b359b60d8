#pragma once
#include "core/tensor.h"

/**
 * Every op on tensors, in the order of addon*.ts, which document shapes and errors. Each checks all
 * that memory safety needs (dtype, shapes, index ranges, overlap), allocates its outputs, and calls a kernel.
 * Signature: inputs, then outputs by reference; the addon derives its conversion from it. The destination
 * of an in-place op is an input whose elements change.
 */
namespace forge::ops {

// elementwise.cc
Status add(const Tensor& a, const Tensor& b, Tensor& y);
Status sub(const Tensor& a, const Tensor& b, Tensor& y);
Status mul(const Tensor& a, const Tensor& b, Tensor& y);
Status div(const Tensor& a, const Tensor& b, Tensor& y);
Status add_scalar(const Tensor& x, double s, Tensor& y);
Status mul_scalar(const Tensor& x, double s, Tensor& y);
Status axpy(const Tensor& y, double alpha, const Tensor& x);
Status scale_in_place(const Tensor& x, double s);
Status neg(const Tensor& x, Tensor& y);
Status exp(const Tensor& x, Tensor& y);
Status log(const Tensor& x, Tensor& y);
Status tanh(const Tensor& x, Tensor& y);
Status sigmoid(const Tensor& x, Tensor& y);
Status silu(const Tensor& x, Tensor& y);
Status relu(const Tensor& x, Tensor& y);
Status relu2(const Tensor& x, Tensor& y);
Status sqrt(const Tensor& x, Tensor& y);
Status abs(const Tensor& x, Tensor& y);
Status sign(const Tensor& x, Tensor& y);
Status silu_backward(const Tensor& x, const Tensor& dy, Tensor& dx);
Status sigmoid_backward(const Tensor& y, const Tensor& dy, Tensor& dx);
Status tanh_backward(const Tensor& y, const Tensor& dy, Tensor& dx);
Status relu_backward(const Tensor& x, const Tensor& dy, Tensor& dx);
Status relu2_backward(const Tensor& x, const Tensor& dy, Tensor& dx);

// reduce.cc
Status sum(const Tensor& x, int64_t axis, Tensor& y);
Status mean(const Tensor& x, int64_t axis, Tensor& y);
Status max(const Tensor& x, int64_t axis, Tensor& y);
Status argmax(const Tensor& x, Tensor& y);
Status sum_squares(const TensorList& xs, double& total);
Status clip_scale(const TensorList& xs, double most, const TensorList& guards, Tensor& clip);
Status scale_by(const Tensor& x, const Tensor& weight);
Status expand_scalar(const Tensor& x, double factor, const Tensor* weight, int64_t count, Tensor& y);
Status sum_to_shape(const Tensor& x, const Shape& shape, Tensor& y);
Status is_finite(const TensorList& xs, bool& finite);
Status dot(const Tensor& a, const Tensor& b, double& total);

// layout.cc, permute.cc, gather_rows.cc
Status slice(const Tensor& x, int64_t axis, int64_t start, int64_t end, Tensor& y);
Status concat(const TensorList& xs, int64_t axis, Tensor& y);
Status permute(const Tensor& x, const Shape& axes, Tensor& y);
Status gather_rows(const Tensor& x, const Tensor& index, Tensor& y);
Status scatter_add_rows(const Tensor& dst, const Tensor& index, const Tensor& src);

// matmul.cc, gather_rows.cc
Status matmul(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b, const Tensor* out, double beta, Tensor& y);
/** The same with a and b rounded to bf16, sums in f32. */
Status matmul_bf16(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b, const Tensor* out, double beta,
                   Tensor& y);
Status embedding(const Tensor& table, const Tensor& ids, Tensor& y);
Status embedding_backward(const Tensor& d_out, const Tensor& ids, const Tensor& d_table);

// rms_norm.cc, rope.cc, attention.cc, swiglu.cc, softmax.cc
Status rms_norm(const Tensor& x, const Tensor& gain, double eps, Tensor& y, Tensor& rstd);
Status rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& rstd, const Tensor* d_gain,
                         Tensor& dx);
/** Angles of pair i are divided by factors[i] of D/2; none: not divided. */
Status rope(const Tensor& x, int64_t position0, double theta, const std::vector<double>& factors, int64_t pairing,
            bool inverse, Tensor& y);
Status attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal, int64_t window, double scale,
                 int64_t kv_length, bool may_round, Tensor& o, Tensor& lse);
Status attention_backward(const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& o,
                          const Tensor& lse, bool causal, int64_t window, double scale, bool may_round, Tensor& dq,
                          Tensor& dk, Tensor& dv);
Status swiglu(const Tensor& gate, const Tensor& up, Tensor& y);
Status swiglu_backward(const Tensor& dy, const Tensor& gate, const Tensor& up, Tensor& d_gate, Tensor& d_up);
Status softmax(const Tensor& x, Tensor& y);
Status softmax_backward(const Tensor& y, const Tensor& dy, Tensor& dx);

// cross_entropy.cc, adamw.cc, philox.cc
Status cross_entropy(const Tensor& logits, const Tensor& targets, int64_t ignore_index, Tensor& loss, Tensor& lse);
Status cross_entropy_backward(const Tensor& logits, const Tensor& targets, const Tensor& lse, const Tensor* d_loss,
                              double scale, int64_t ignore_index, bool in_place, Tensor& d_logits);
Status target_weight(const Tensor& targets, int64_t ignore_index, Tensor& weight);
Status adamw(const Tensor& param, const Tensor& grad, const Tensor& m, const Tensor& v, double lr, double beta1,
             double beta2, double eps, double weight_decay, int64_t step, double grad_scale);
Status philox_uniform(const Tensor& x, uint32_t seed_lo, uint32_t seed_hi, uint32_t counter_lo, uint32_t counter_hi,
                      const Tensor* base);
Status philox_normal(const Tensor& x, uint32_t seed_lo, uint32_t seed_hi, uint32_t counter_lo, uint32_t counter_hi,
                     double mean, double std);

// layout.cc
Status copy(const Tensor& dst, const Tensor& src);
Status copy_rows(const Tensor& dst, const Tensor& src, int64_t at_row);
Status full(DType dtype, const Shape& shape, double value, Tensor& y);
Status view(const Tensor& x, int64_t offset, const Shape& shape, Tensor& y);

// bias_activation.cc, kl_divergence.cc, sampling.cc, linear_scan.cc, ranged_attention.cc, adamw.cc
Status bias_activation(const Tensor& y, const Tensor* bias, int64_t activation);
Status kl_divergence(const Tensor& targets, const Tensor& logits, Tensor& loss, Tensor& lse_t, Tensor& lse_z);
Status kl_divergence_backward(const Tensor& targets, const Tensor& logits, const Tensor& loss, const Tensor& lse_t,
                              const Tensor& lse_z, const Tensor* d_loss, double scale, Tensor& d_targets,
                              Tensor& d_logits);
Status dropout(const Tensor& x, double probability, uint32_t seed_lo, uint32_t seed_hi, uint32_t counter_lo,
               uint32_t counter_hi, const Tensor* base, Tensor& y);
Status top_k(const Tensor& x, int64_t k, Tensor& values, Tensor& index);
Status categorical(const Tensor& logits, uint32_t seed_lo, uint32_t seed_hi, uint32_t counter_lo, uint32_t counter_hi,
                   Tensor& y);
Status linear_scan(const Tensor& a, const Tensor& b, const Tensor* h0, Tensor& h);
Status linear_scan_backward(const Tensor& dh, const Tensor& a, const Tensor& h, const Tensor* h0, Tensor& da, Tensor& db,
                            Tensor& dh0);
Status ranged_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& ranges, double scale, Tensor& o,
                        Tensor& lse);
Status ranged_attention_backward(const Tensor& d_o, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& o,
                                 const Tensor& lse, const Tensor& ranges, double scale, Tensor& dq, Tensor& dk,
                                 Tensor& dv);
Status adamw_grokfast(const Tensor& param, const Tensor& grad, const Tensor& mu, const Tensor& m, const Tensor& v,
                      double lr, double beta1, double beta2, double eps, double weight_decay, int64_t step,
                      double grad_scale, double alpha, double lambda, bool starts);

Status adamw_prepared(const TensorList& params, const TensorList& grads, const TensorList& ms, const TensorList& vs,
                      const TensorList& mus, const Tensor& settings, const Tensor* clip, double alpha, double lambda,
                      bool starts);

// svd.cc, newton_schulz.cc
Status svd(const Tensor& x, Tensor& u, Tensor& s, Tensor& vt);
Status newton_schulz(const Tensor& x, int64_t steps, Tensor& y);
Status muon(const Tensor& param, const Tensor& grad, const Tensor& m, double lr, double momentum, bool nesterov,
            double weight_decay, int64_t steps, double grad_scale);

// merge_linear.cc, merge_task_vectors.cc, merge_votes.cc
using Numbers = std::vector<double>;
Status merge_linear(const TensorList& xs, const Numbers& weights, bool normalize, Tensor& y);
Status merge_slerp(const Tensor& a, const Tensor& b, double t, Tensor& y);
Status merge_nuslerp(const Tensor& a, const Tensor& b, const Tensor* base, double t, Tensor& y);
Status merge_multislerp(const TensorList& xs, const Numbers& weights, const Tensor* base, bool normalize, Tensor& y);
Status merge_karcher(const TensorList& xs, const Numbers& weights, int64_t max_iterations, double tolerance, Tensor& y);
Status merge_model_stock(const Tensor& base, const TensorList& xs, Tensor& y);
Status merge_task_vectors(const Tensor& base, const TensorList& xs, const Numbers& weights, int64_t method,
                          const Numbers& densities, const Numbers& extras, int64_t rescale, const Numbers& keys,
                          bool consensus, bool normalize, double lambda, Tensor& y);
Status merge_sce(const Tensor& base, const TensorList& xs, double select_topk, Tensor& y);
Status merge_ram(const Tensor& base, const TensorList& xs, double epsilon, double r, double alpha, Tensor& y);
Status merge_nearswap(const Tensor& a, const Tensor& b, double t, Tensor& y);
Status merge_arcee_fusion(const Tensor& base, const Tensor& x, Tensor& y);

// quantize.cc, blocks.cc, ternary.cc
Status absmean_quantize(const Tensor& w, Tensor& codes, Tensor& step);
Status absmean_fake_quantize(const Tensor& w, Tensor& y);
Status absmax_quantize(const Tensor& x, Tensor& codes, Tensor& steps);
Status absmax_fake_quantize(const Tensor& x, Tensor& y);
Status encode_blocks(const Tensor& x, int64_t format, Tensor& blocks);
Status decode_blocks(const Tensor& blocks, int64_t format, Tensor& y);
Status ternary_pack(const Tensor& codes, Tensor& packed);
Status ternary_unpack(const Tensor& packed, int64_t rows, int64_t columns, Tensor& codes);
Status ternary_accumulate(const Tensor& codes, const Tensor& packed, int64_t rows, Tensor& sums);
Status ternary_matmul(const Tensor& x, const Tensor& packed, const Tensor& steps, int64_t rows, Tensor& y);

// seedlm.cc, kmeans.cc, hyper.cc, bits.cc
Status seedlm_encode(const Tensor& w, double scale, int64_t bits, int64_t block, int64_t rank, Tensor& seeds,
                     Tensor& fields);
Status seedlm_decode(const Tensor& seeds, const Tensor& fields, double scale, int64_t bits, int64_t block, int64_t count,
                     Tensor& w);
Status nearest_centroid(const Tensor& x, const Tensor& centroids, Tensor& index, Tensor& distance);
Status kmeans(const Tensor& x, const Tensor* weights, int64_t k, int64_t iterations, uint32_t seed_lo, uint32_t seed_hi,
              Tensor& centroids, Tensor& index, Tensor& distance);
Status hyper_encode(const Tensor& w, double side, int64_t cells, int64_t classes, Tensor& codes, Tensor& frame);
Status hyper_decode(const Tensor& codes, const Tensor& frame, double side, int64_t cells, int64_t classes, int64_t count,
                    Tensor& w);
Status pack_bits(const Tensor& values, int64_t width, bool is_signed, Tensor& bytes);
Status unpack_bits(const Tensor& bytes, int64_t count, int64_t width, bool is_signed, Tensor& values);

}  // namespace forge::ops
