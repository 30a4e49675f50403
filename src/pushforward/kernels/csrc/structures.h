// What the kernels are called with, field by field as in kernels/structures.py.
//
// Python compares the sizes when it loads the library; `sizes.inc` exports them. Pointers are to contiguous numbers, float32
// or, in the functions for it, float64, unless something else is said; those that a call does not need are null.
#pragma once
#include "vector.h"

// Each build has its own copy, in its own precision.
namespace {

// What all splines of a call share; see bijections/univariate/spline.py.
struct Spline {
    int32_t bins, tails;
    double bound, smallest_bin, smallest_slope, slope_shift;
};

// A family of univariate maps: additive maps need neither of the two others, affine maps the bound of their log-scale.
struct Univariate {
    int32_t family;
    double log_scale_bound;
    Spline spline;
};

// Values (features, count) mapped by splines, and the gradients of both results. The entries of `parameters` for one row
// are `parameter_stride` numbers apart, those of the next feature `feature_stride`; rows of `value` are `value_stride`
// apart. `of_parameters` has the layout of `parameters`, everything else is (features, count).
struct SplineCall {
    Spline spline;
    int32_t inverse, threads;
    int64_t count, features, value_stride, feature_stride, parameter_stride;
    const number *value, *parameters;
    number *mapped, *log_derivative;
    const number *of_mapped, *of_log_derivative;
    number *of_value, *of_parameters;
};

// weight (units, inputs) · mask, and bias. Entries of `rows` (units, 2) say from which input to which a unit is alive,
// those of `columns` (inputs, 2) the same of the transpose. Null: no mask, all alive. With `skip` the result of two
// layers before, not yet rectified, is added. The gradients go to `of_`.
struct Dense {
    int64_t units, inputs, skip;
    const number *weight, *mask, *bias;
    const int32_t *rows, *columns;
    number *of_weight, *of_bias;
};

// A network of rectifiers and the univariate maps whose parameters it supplies. `value`, (features, count), is mapped;
// the network reads `known`, (inputs, count), which may be the same; `added`, (units, count), is added to the first
// layer's result. `saved` and `workspace` are as large as `LayerSizes` says. Gradients that are null are not computed;
// where `of_known` is `of_value`, both are summed.
struct LayerCall {
    Univariate univariate;
    int32_t inverse, threads;
    int64_t count, depth;
    const Dense *dense;
    const number *value, *known, *added;
    number *mapped, *log_det, *saved;
    const number *of_mapped, *of_log_det;
    number *of_value, *of_known, *of_added, *workspace;
};

// How many weights there are, and how many numbers `saved` and `workspace` must hold.
struct LayerSizes {
    int64_t weights, saved, workspace;
};

// No `LayerCall`, which has layers one after the other: here a network is solved degree by degree, with any activation,
// and residual pairs, and without gradients.
//
// An autoregressive layer whose network is sorted by degree: see networks/structure.py for `structure` and `block`, and
// `MADE.as_sorted` in networks/made.py for `weights`. `value` is (count, features) and the context (count, its features),
// both with any strides; `mapped` is (features, count).
struct AutoregressiveCall {
    Univariate univariate;
    int32_t activation, inverse, threads, hidden;
    int64_t count, features, parameters, block;
    const int64_t *structure;
    const number *const *weights;
    const number *value;
    int64_t row_stride, feature_stride;
    const number *context;
    int64_t context_row_stride, context_feature_stride;
    number *mapped, *log_det;
};

// What the parameters of a sample make of its noise: see audio/models/heads.py.
struct Head {
    int32_t kind, components;
    float bound, reach, scale, temperature;
};

// `samples` samples of each of `rows` sequences, from sample `time` on. `sizes`, `weights` and `added`, (rows, frames,
// layers, 2 · wide), are laid out in networks/wavenet.py; each frame is for `hop` samples, the first for sample `time`.
// `memory`, (rows, rings), holds each layer's past.
struct WaveNetCall {
    int64_t rows, samples, time;
    const int64_t *sizes;
    const float *weights;
    float *memory;
    const float *added;
    int64_t frames, hop;
    int32_t threads;
};

// One sample after the other: `noise` is (rows, samples, numbers), `made` (rows, samples). `last`, (rows, numbers), is
// what describes the sample before, at the start and at the end; with an `adaptive` scale, also what that remembers.
// The network reads what is made, or, with `reads_noise`, the noise. `log_det`, (rows), is added to.
struct WaveNetLoop {
    WaveNetCall call;
    Head head;
    int32_t reads_noise;
    float *last;
    const float *adaptive, *noise;
    int64_t numbers;
    float *made;
    double *log_det;
};

// All samples at once: parameters (outputs, rows, samples), from what describes the sample before each, (inputs, rows,
// samples). Here `memory` holds each layer's past in order of time.
struct WaveNetPass {
    WaveNetCall call;
    const float *previous;
    float *parameters;
};

// A convolution of 3 × 3, weight (outputs, inputs, 3, 3) and bias; the first one of a network has no bias. The gradients go
// to `of_`.
struct Convolution {
    int64_t inputs, outputs;
    const float *weight, *bias;
    float *of_weight, *of_bias;
};

// A residual network of `count` images, (inputs, height, width), see networks/residual_images.py: `added`, (hidden, height,
// width), and `rows`, (count, hidden), which may be null, are added to the first layer's result. `saved` may be null where
// no gradients follow; it and `workspace` are as large as `ImageNetworkSizes` says. Gradients that are null are not
// computed.
struct ImageNetworkCall {
    int64_t count, height, width, depth;
    const Convolution *layers;
    int32_t threads;
    const float *images, *added, *rows;
    float *results, *saved, *workspace;
    const float *of_results;
    float *of_images, *of_added, *of_rows;
};

// How many numbers `saved` and `workspace` must hold.
struct ImageNetworkSizes {
    int64_t saved, workspace;
};

} // namespace
