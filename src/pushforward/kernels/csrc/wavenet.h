// A WaveNet (networks/wavenet.py) one sample after the other, for one sequence at a time.
//
// A vector holds channels: a matrix times a vector is the sum of the matrix's columns, each times one number. All sizes
// but those of columns are rounded up to whole vectors, with weights of zero.
#pragma once
#include <cstdlib>

#include "structures.h"
#include "functions.h"

// Each of the three builds has its own copy of everything here, compiled for its own instructions.
namespace {

// Sizes and weights. Each matrix comes after its bias, column by column.
struct Network {
    long inputs, channels, skip, outputs, layers, taps;
    const int64_t *dilations;
    long wide, wide_skip, wide_outputs; // rounded up
    const float *input, *layer, *skips, *hidden, *output;
    long layer_size; // of the weights of one layer: gates, then residual

    Network(const int64_t *sizes, const float *weights)
        : inputs(sizes[0]), channels(sizes[1]), skip(sizes[2]), outputs(sizes[3]), layers(sizes[4]), taps(sizes[5]),
          dilations(sizes + 6), wide(padded(channels)), wide_skip(padded(skip)), wide_outputs(padded(outputs)) {
        layer_size = (1 + taps * channels) * 2 * wide + (1 + channels) * wide;
        input = weights;
        layer = input + (1 + inputs) * wide;
        skips = layer + layers * layer_size;
        hidden = skips + (1 + layers * channels) * wide_skip;
        output = hidden + (1 + skip) * wide_skip;
    }
    long memory() const {
        long slots = 0;
        for (long l = 0; l < layers; l++) slots += (taps - 1) * dilations[l];
        return slots * wide;
    }
};

// to += weight · from for `VECTORS` vectors of the result, in two sums so that no addition waits for the previous one.
template <int VECTORS> INLINE void add_columns(const float *weight, long stride, long columns, const float *from, float *to) {
    vec even[VECTORS], odd[VECTORS];
    for (int r = 0; r < VECTORS; r++) even[r] = load(to + r * LANES), odd[r] = vec{};
    long j = 0;
    for (; j + 1 < columns; j += 2) {
        const vec first = all(from[j]), second = all(from[j + 1]);
        for (int r = 0; r < VECTORS; r++) {
            even[r] += load(weight + j * stride + r * LANES) * first;
            odd[r] += load(weight + (j + 1) * stride + r * LANES) * second;
        }
    }
    if (j < columns)
        for (int r = 0; r < VECTORS; r++) even[r] += load(weight + j * stride + r * LANES) * all(from[j]);
    for (int r = 0; r < VECTORS; r++) store(to + r * LANES, even[r] + odd[r]);
}

// to += weight · from, for a result of `rows` numbers, a multiple of LANES.
void add_linear(const float *weight, long rows, long columns, const float *from, float *to) {
    long r = 0;
    for (; r + 4 * LANES <= rows; r += 4 * LANES) add_columns<4>(weight + r, rows, columns, from, to + r);
    for (; r + 2 * LANES <= rows; r += 2 * LANES) add_columns<2>(weight + r, rows, columns, from, to + r);
    for (; r < rows; r += LANES) add_columns<1>(weight + r, rows, columns, from, to + r);
}

// tanh(a) · σ(b) with one division; nothing overflows.
INLINE vec gated(vec a, vec b) {
    const vec ea = exponential_of_negative(-2.0f * absolute(a)), eb = exponential_of_negative(-absolute(b));
    const vec above = (1.0f - ea) * (b < 0.0f ? eb : all(1.0f)), out = above / ((1.0f + ea) * (1.0f + eb));
    return a < 0.0f ? -out : out;
}

INLINE void rectify(float *values, long count) {
    for (long i = 0; i < count; i += LANES) store(values + i, maximum(load(values + i), vec{}));
}

// The memory that one step works in.
struct Scratch {
    float *h, *gates, *out, *skip, *hidden, *parameters;
    static long size(const Network &n) { return 4 * n.wide + 2 * n.wide_skip + n.wide_outputs; }
    Scratch(const Network &n, float *memory)
        : h(memory), gates(h + n.wide), out(gates + 2 * n.wide), skip(out + n.wide), hidden(skip + n.wide_skip),
          parameters(hidden + n.wide_skip) {}
};

// The parameters of sample `time`, in scratch.parameters, from what describes the sample before. `ring` holds each
// layer's past; `added` is what the context adds to each layer's gates, or null.
void step(const Network &n, const float *inputs, long time, float *ring, const float *added, const Scratch &s) {
    const long wide = n.wide;
    __builtin_memcpy(s.h, n.input, wide * sizeof(float));
    add_linear(n.input + wide, wide, n.inputs, inputs, s.h);
    __builtin_memcpy(s.skip, n.skips, n.wide_skip * sizeof(float));
    const float *skips = n.skips + n.wide_skip;
    for (long l = 0; l < n.layers; l++) {
        const float *weight = n.layer + l * n.layer_size;
        const long length = (n.taps - 1) * n.dilations[l];
        for (long i = 0; i < 2 * wide; i += LANES)
            store(s.gates + i, added ? load(weight + i) + load(added + l * 2 * wide + i) : load(weight + i));
        weight += 2 * wide;
        for (long tap = n.taps - 1; tap > 0; tap--) {
            const long place = (time + length - tap * n.dilations[l]) % length;
            add_linear(weight, 2 * wide, n.channels, ring + place * wide, s.gates);
            weight += n.channels * 2 * wide;
        }
        add_linear(weight, 2 * wide, n.channels, s.h, s.gates);
        weight += n.channels * 2 * wide;
        __builtin_memcpy(ring + time % length * wide, s.h, wide * sizeof(float));
        ring += length * wide;
        for (long i = 0; i < wide; i += LANES) store(s.out + i, gated(load(s.gates + i), load(s.gates + wide + i)));
        add_linear(skips, n.wide_skip, n.channels, s.out, s.skip);
        skips += n.channels * n.wide_skip;
        if (l + 1 < n.layers) {
            for (long i = 0; i < wide; i += LANES) store(s.h + i, load(s.h + i) + load(weight + i));
            add_linear(weight + wide, wide, n.channels, s.out, s.h);
        }
    }
    rectify(s.skip, n.wide_skip);
    __builtin_memcpy(s.hidden, n.hidden, n.wide_skip * sizeof(float));
    add_linear(n.hidden + n.wide_skip, n.wide_skip, n.skip, s.skip, s.hidden);
    rectify(s.hidden, n.wide_skip);
    __builtin_memcpy(s.parameters, n.output, n.wide_outputs * sizeof(float));
    add_linear(n.output + n.wide_outputs, n.wide_outputs, n.skip, s.hidden, s.parameters);
}

// 2/π · bound · arctan(π/2 · value / bound), see `soft_bound` in bijections/univariate/.
INLINE float soft_bound(float value, float bound) {
    const float slope = 1.57079633f / bound;
    return __builtin_atanf(value * slope) / slope;
}

enum HeadKind { AFFINE = 0, AFFINE_INVERSE = 1, MIXTURE = 2, RELATIVE_INVERSE = 3 };

// A value from its noise, one number or, for a mixture, two; adds the logarithm of the slope to `log_det`.
INLINE float draw(const Head &head, const float *p, const float *noise, double &log_det) {
    if (head.kind == MIXTURE) {
        const long count = head.components;
        float largest = p[0], total = 0, passed = 0;
        for (long k = 1; k < count; k++) largest = p[k] > largest ? p[k] : largest;
        for (long k = 0; k < count; k++) total += __builtin_expf(p[k] - largest);
        long chosen = 0;
        for (long k = 0; k + 1 < count; k++) {
            passed += __builtin_expf(p[k] - largest) / total;
            chosen += passed <= noise[0];
        }
        const float center = p[count + chosen] + head.reach * ((2.0f * chosen + 1.0f) / count - 1.0f);
        const float scale = head.scale * __builtin_expf(soft_bound(p[2 * count + chosen], head.bound));
        return center + head.temperature * scale * noise[1];
    }
    const float log_scale = soft_bound(p[1], head.bound);
    if (head.kind == AFFINE_INVERSE) {
        log_det -= log_scale;
        return (noise[0] - p[0]) * __builtin_expf(-log_scale);
    }
    if (head.kind == RELATIVE_INVERSE) {
        log_det -= log_scale;
        return noise[0] * __builtin_expf(-log_scale) - p[0];
    }
    log_det += log_scale;
    return p[0] + __builtin_expf(log_scale) * head.temperature * noise[0];
}

// The prediction and the scale of a sample from those before it: see audio/models/adaptive.py, which has the same names.
struct Adaptive {
    long order, spans;
    float gain, floor, ceiling;
    const float *each_span, *coefficients;

    Adaptive(const float *numbers)
        : order((long)numbers[0]), spans((long)numbers[1]), gain(numbers[2]), floor(numbers[3]), ceiling(numbers[4]),
          each_span(numbers + 5), coefficients(each_span + spans) {}
    long features() const { return 3 + spans; }
    // What is kept besides the features: the last samples, latest first, and the averages.
    long memory() const { return order + spans + 1; }
};

// The logarithm of the scale of a power, between floor and ceiling.
INLINE float log_scale_of(float power, float floor, float ceiling) {
    return 0.5f * __builtin_logf(power * (ceiling / (power + ceiling)) + floor * floor);
}

INLINE float location_of(const Adaptive &a, const float *latest) {
    float location = 0;
    for (long k = 0; k < a.order; k++) location += a.coefficients[k] * latest[k];
    return location;
}

// Update with one sample x what is kept, and the features that describe it.
void describe(const Adaptive &a, float x, float *features, float *latest) {
    float *powers = latest + a.order;
    const float residual = x - location_of(a, latest);
    for (long j = 0; j < a.spans; j++) powers[j] += (residual * residual - powers[j]) / a.each_span[j];
    powers[a.spans] += (x * x - powers[a.spans]) / (2 * a.each_span[0]);
    for (long k = a.order - 1; k > 0; k--) latest[k] = latest[k - 1];
    if (a.order) latest[0] = x;
    const float loudness = log_scale_of(powers[a.spans], a.floor, 1.0f);
    float before = log_scale_of(powers[0], a.floor, a.ceiling), middle = before;
    float *level = features + 2;
    *level++ = (before + 6) / 3;
    for (long j = 1; j < a.spans; j++) {
        const float now = log_scale_of(powers[j], a.floor, a.ceiling);
        if (j == a.spans / 2) middle = now;
        *level++ = before - now;
        before = now;
    }
    *level = (loudness + 6) / 3;
    features[0] = __builtin_asinhf(residual * __builtin_expf(-middle));
    features[1] = __builtin_asinhf(x * __builtin_expf(-loudness));
}

} // namespace
