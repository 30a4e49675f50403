// An autoregressive layer with a masked network, in either direction, for a few rows at a time.
//
// The units of every layer are sorted by degree: see networks/made.py. Those of degree p depend on degrees up to p, and
// feature p of x has degree p + 1. So degree by degree, everything is computed once and from finished values, in both
// directions: x[p] is either given or the last value that degree p computes.
#pragma once
#if REGISTER_BYTES > 16
#include <immintrin.h>
#endif

#include "threads.h"
#include "univariate.h"

// Each of the three builds has its own copy of everything here, compiled for its own instructions.
namespace {
namespace autoregressive_layer {

// A chunk of rows goes through the whole layer before the next one starts, so that its units stay in the cache.
constexpr long ROWS = 128 / sizeof(number);

// How many units a tile has with all of their sums in registers.
constexpr int MOST_UNITS = REGISTER_BYTES == 64 ? 8 : 6;

// a · b + c, rounded once where the processor can: if the compiler chose, a row alone and the same row among others could
// be rounded differently.
INLINE vec multiply_add(vec a, vec b, vec c) {
#if REGISTER_BYTES == 64 && defined(FLOAT64)
    return (vec)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif REGISTER_BYTES == 64
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif REGISTER_BYTES == 32 && defined(FLOAT64)
    return (vec)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif REGISTER_BYTES == 32
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

constexpr int MOST_LAYERS = 64;

enum Activation { RELU = 0, ELU = 1, SILU = 2, GELU = 3, TANH = 4 };

// weight · source, a term of a layer; unit k of the layer `source` belongs to column `columns[k]` of the weight.
struct Term {
    const number *weight;
    const int64_t *columns;
    long stride;
    int source;
};

// bias + terms + skip. Unit u of the layer is row `rows[u]` of the bias and of every weight.
struct Layer {
    const int64_t *rows, *starts; // starts[p] is the number of units of a degree below p
    const number *bias;
    Term terms[3];
    int term_count;
    int skip; // the layer whose values before their activation are added, or -1
    bool is_skipped_to;
};

INLINE vec activated(Activation activation, vec x) {
    switch (activation) {
    case RELU:
        return maximum(x, vec{});
    case ELU:
        return x > 0.0f ? x : exponential_minus_one(x);
    case SILU:
        return x * sigmoid(x);
    case GELU:
        return 0.5f * x * (1.0f + error_function(x * (number)0.70710678118654752440));
    default:
        return hyperbolic_tangent(x);
    }
}

// out[u] += Σ over k of weights[u][columns[k]] · known[k], for UNITS rows and REGISTERS registers of data.
//
// Not the tile of tile.h: units of one degree are few, from one on, and both sides of a weight are looked up in lists,
// since it lies in memory as the network has it. It rounds every product and sum once, so that a row is the same alone.
template <int UNITS, int REGISTERS>
INLINE void tile(const number *const *weights, const int64_t *columns, long count, const number *known, number *out) {
    vec sums[UNITS][REGISTERS];
    const number *weight[UNITS];
#pragma GCC unroll 16
    for (int u = 0; u < UNITS; u++) {
        weight[u] = weights[u];
#pragma GCC unroll 4
        for (int r = 0; r < REGISTERS; r++) sums[u][r] = *(const vec *)(out + u * ROWS + r * LANES);
    }
    for (long k = 0; k < count; k++) {
        vec h[REGISTERS];
        const int64_t column = columns[k];
#pragma GCC unroll 4
        for (int r = 0; r < REGISTERS; r++) h[r] = *(const vec *)(known + k * ROWS + r * LANES);
#pragma GCC unroll 16
        for (int u = 0; u < UNITS; u++) {
            const vec w = all(weight[u][column]);
#pragma GCC unroll 4
            for (int r = 0; r < REGISTERS; r++) sums[u][r] = multiply_add(w, h[r], sums[u][r]);
        }
    }
#pragma GCC unroll 16
    for (int u = 0; u < UNITS; u++)
#pragma GCC unroll 4
        for (int r = 0; r < REGISTERS; r++) *(vec *)(out + u * ROWS + r * LANES) = sums[u][r];
}

template <int UNITS>
void tiles(const number *const *weights, const int64_t *columns, long count, const number *known, number *out, long width) {
    for (; width >= 2 * LANES; width -= 2 * LANES, known += 2 * LANES, out += 2 * LANES)
        tile<UNITS, 2>(weights, columns, count, known, out);
    if (width) tile<UNITS, 1>(weights, columns, count, known, out);
}

// out[u - first] += Σ over k of weight[u][k] · known[k], for the units first .. last - 1, columns left .. right - 1.
void add_term(const Layer &layer, const Term &term, long first, long last, long left, long right,
                 const number *known, number *out, long width) {
    if (left >= right) return;
    // Parts of equal size, since a small part takes as long as a full one.
    for (long parts = (last - first + MOST_UNITS - 1) / MOST_UNITS; parts > 0; parts--) {
        const long units = (last - first + parts - 1) / parts;
        const number *weights[MOST_UNITS];
        for (long u = 0; u < units; u++) weights[u] = term.weight + layer.rows[first + u] * term.stride;
        const int64_t *columns = term.columns + left;
        const number *from = known + left * ROWS;
#define CASE(n)                                                                                                        \
    case n:                                                                                                            \
        tiles<n>(weights, columns, right - left, from, out, width);                                                    \
        break;
        switch (units) {
            CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
        }
#undef CASE
        first += units;
        out += units * ROWS;
    }
}

struct Network {
    long features, parameters;
    int layers; // x, the hidden ones, the parameters, the context
    const Layer *layer;
    Activation activation;
    long block; // how many degrees share the terms of all degrees before them
    const int64_t *order;
    Map map;
    bool inverse;
};

struct Data {
    const number *from, *context;
    long row_stride, feature_stride, context_row_stride, context_stride;
    number *to, *log_det;
    long count;
};

INLINE vec load_rows(const number *from, long stride, long count) {
    if (stride == 1 && count >= LANES) return load(from);
    vec value = all(from[0]); // lanes without a row repeat the first
    for (long i = 0; i < LANES && i < count; i++) value[i] = from[i * stride];
    return value;
}

INLINE void store_rows(number *to, vec value, long count) {
    if (count >= LANES)
        store(to, value);
    else
        store_some(to, value, count);
}

template <Activation activation>
INLINE void activate(const number *from, number *to, long units, long width) {
    for (long u = 0; u < units; u++)
        for (long lane = 0; lane < width; lane += LANES)
            store(to + u * ROWS + lane, activated(activation, load(from + u * ROWS + lane)));
}

void activate(Activation activation, const number *from, number *to, long units, long width) {
    switch (activation) {
    case RELU:
        return activate<RELU>(from, to, units, width);
    case ELU:
        return activate<ELU>(from, to, units, width);
    case SILU:
        return activate<SILU>(from, to, units, width);
    case GELU:
        return activate<GELU>(from, to, units, width);
    case TANH:
        return activate<TANH>(from, to, units, width);
    }
}

// The biases of units first .. last - 1 of a layer.
void start(const Layer &layer, long first, long last, long width, number *out) {
    for (long u = first; u < last; u++, out += ROWS)
        for (long lane = 0; lane < width; lane += LANES) store(out + lane, all(layer.bias[layer.rows[u]]));
}

// `values` has room for all units of each layer but the parameters, and for the parameters of a block of features;
// `unactivated` for the units before their activation where a skip reads them.
void run_chunk(const Network &network, const Data &data, long row, number *const *values, number *const *unactivated) {
    const long here = data.count - row < ROWS ? data.count - row : ROWS;
    const long width = (here + LANES - 1) / LANES * LANES, numbers = network.parameters;
    const int last = network.layers - 2;
    const number *from = data.from + row * data.row_stride;
    number *x = values[0], *parameters = values[last];
    for (long c = 0; c < network.layer[last + 1].starts[0]; c++)
        for (long lane = 0; lane < width; lane += LANES)
            store(values[last + 1] + c * ROWS + lane,
                  load_rows(data.context + c * data.context_stride + (row + lane) * data.context_row_stride,
                            data.context_row_stride, here - lane));
    auto given = [&](long p, long lane) {
        return load_rows(from + network.order[p] * data.feature_stride + lane * data.row_stride, data.row_stride,
                         here - lane);
    };
    if (network.inverse)
        for (long p = 0; p < network.features; p++)
            for (long lane = 0; lane < width; lane += LANES) store(x + p * ROWS + lane, given(p, lane));
    vec log_det[ROWS / LANES] = {};
    for (long low = 0; low < network.features; low += network.block) {
        const long high = low + network.block < network.features ? low + network.block : network.features;
        // The units of a layer from the block's first one on, before their activation.
        auto place = [&](int k) {
            number *units = unactivated[k] ? unactivated[k] : values[k];
            return k == last ? parameters : units + network.layer[k].starts[low] * ROWS;
        };
        for (int k = 1; k <= last; k++) {
            const Layer &layer = network.layer[k];
            const long first = layer.starts[low], end = layer.starts[high];
            start(layer, first, end, width, place(k));
            for (int i = 0; i < layer.term_count; i++) {
                const Term &term = layer.terms[i];
                const long known = network.layer[term.source].starts[low];
                add_term(layer, term, first, end, 0, known, values[term.source], place(k), width);
            }
        }
        for (long p = low; p < high; p++) {
            for (int k = 1; k <= last; k++) {
                const Layer &layer = network.layer[k];
                const long first = layer.starts[p], units = layer.starts[p + 1] - first;
                if (!units) continue;
                number *out = place(k) + (first - layer.starts[low]) * ROWS;
                for (int i = 0; i < layer.term_count; i++) {
                    const Term &term = layer.terms[i];
                    const int64_t *starts = network.layer[term.source].starts;
                    add_term(layer, term, first, first + units, starts[low], starts[p + 1], values[term.source], out,
                             width);
                }
                if (layer.skip >= 0) {
                    const number *skipped = unactivated[layer.skip] + first * ROWS;
                    for (long i = 0; i < units * ROWS; i += LANES)
                        store(out + i, load(out + i) + load(skipped + i));
                }
                if (k < last) activate(network.activation, out, values[k] + first * ROWS, units, width);
            }
            const number *of_feature = parameters + (p - low) * numbers * ROWS;
            number *to = data.to + network.order[p] * data.count + row;
            for (long lane = 0; lane < width; lane += LANES) {
                const vec value = network.inverse ? load(x + p * ROWS + lane) : given(p, lane);
                vec of_map[3 * MOST_BINS + 1];
                for (long k = 0; k < numbers; k++) of_map[k] = load(of_feature + k * ROWS + lane);
                const Pair pair = apply(network.map, network.inverse, value, of_map);
                if (!network.inverse) store(x + p * ROWS + lane, pair.value);
                log_det[lane / LANES] += pair.log_derivative;
                store_rows(to + lane, pair.value, here - lane);
            }
        }
    }
    for (long lane = 0; lane < width; lane += LANES)
        store_rows(data.log_det + row + lane, log_det[lane / LANES], here - lane);
}

void run(const Network &network, const Data &data, int threads) {
    // Nothing depends on the last feature, so its degree is not counted.
    auto units = [&](int k) {
        if (k == network.layers - 2) return network.block * network.parameters;
        return (long)network.layer[k].starts[network.features] + (k ? 0 : 1);
    };
    long total = 0;
    for (int k = 0; k < network.layers; k++) total += units(k) * (network.layer[k].is_skipped_to ? 2 : 1);
    in_parts((data.count + ROWS - 1) / ROWS, threads, [&](long chunk) {
        thread_local Memory memory;
        number *rest = (number *)memory.of(sizeof(number) * total * ROWS);
        number *values[MOST_LAYERS] = {}, *unactivated[MOST_LAYERS] = {};
        auto take = [&](long count) { return (rest += count * ROWS) - count * ROWS; };
        for (int k = 0; k < network.layers; k++) {
            values[k] = take(units(k));
            if (network.layer[k].is_skipped_to) unactivated[k] = take(units(k));
        }
        run_chunk(network, data, chunk * ROWS, values, unactivated);
    });
}

// Take the call apart: the layers are x, the hidden ones, the parameters and the context.
void run(const AutoregressiveCall &call) {
    const long features = call.features;
    const int last = call.hidden + 1;
    const int64_t *order = call.structure, *skips = order + features, *starts = skips + last + 1;
    const int64_t *outputs = starts + (last + 2) * (features + 1), *each = outputs + features * call.parameters;
    const number *const *weights = call.weights;
    Layer layers[MOST_LAYERS] = {};
    for (int k = 0; k <= last + 1; k++, starts += features + 1) {
        layers[k].starts = starts;
        layers[k].skip = -1;
    }
    auto add = [&](int target, int source) {
        const number *weight = *weights++;
        const long units = source == 0 ? features : layers[source].starts[features];
        if (weight)
            layers[target].terms[layers[target].term_count++] = {weight, source ? each : order, units, source};
    };
    for (int k = 1; k <= last; k++) {
        layers[k].rows = k == last ? outputs : each;
        layers[k].skip = (int)skips[k];
        if (layers[k].skip >= 0) layers[layers[k].skip].is_skipped_to = true;
        layers[k].bias = *weights++;
        add(k, k - 1);
    }
    add(1, last + 1);
    add(last, 0);
    add(last, last + 1);
    run({features, call.parameters, last + 2, layers, (Activation)call.activation, call.block, order, Map(call.univariate),
         call.inverse != 0},
        {call.value, call.context, call.row_stride, call.feature_stride, call.context_row_stride,
         call.context_feature_stride, call.mapped, call.log_det, call.count},
        call.threads);
}

} // namespace autoregressive_layer
} // namespace
