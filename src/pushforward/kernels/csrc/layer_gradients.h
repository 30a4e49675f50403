// The gradients of a whole layer, see layer.h, for 64 rows at a time.
#pragma once
#include <type_traits>
#include <utility>

#include "layer.h"

// Each of the builds has its own copy of everything here, compiled for its own instructions.
namespace {
namespace whole_layer {

// Weights in panels of UNITS inputs: what a tile of the transpose reads is contiguous.
INLINE void into_panels(const Dense &dense, const number *weight, number *panels, int threads) {
    const long width = padded(dense.inputs), height = padded(dense.units);
#pragma omp parallel for num_threads(threads) schedule(static) if (height * width >= WORTH_THREADS)
    for (long k = 0; k < width; k += UNITS) {
        long from, until;
        alive(dense.columns, k, dense.inputs, dense.units, from, until);
        for (long unit = from; unit < until; unit++)
            std::memcpy(panels + k * height + unit * UNITS, weight + unit * width + k, sizeof(number) * UNITS);
    }
}

// weightᵀ g, g (units, ROWS) to (inputs, ROWS), zero where `rectified` is zero, plus `added`.
INLINE void dense_transposed(const Dense &dense, const number *panels, const number *g, number *to, const number *rectified,
                             const number *added) {
    const long height = padded(dense.units);
    for (long input = 0; input < dense.inputs; input += UNITS) {
        long from, until;
        alive(dense.columns, input, dense.inputs, dense.units, from, until);
        for (long row = 0; row < ROWS; row += WIDE * LANES)
            tile<WIDE>(
                until - from, panels + input * height + from * UNITS, 1, UNITS, g + from * ROWS + row, ROWS, LANES,
                [](long, long) { return vec{}; },
                [&](long u, long v, vec sum) {
                    const long at = (input + u) * ROWS + row + v * LANES;
                    if (rectified) sum = load(rectified + at) <= 0.0f ? vec{} : sum;
                    store(to + at, added ? sum + load(added + at) : sum);
                });
    }
}

// of_weight += g hᵀ where weights are alive, or = g hᵀ for the `first` rows; padded like the weights. g is (units, ROWS),
// `transposed` is h as `transpose` lays it out.
INLINE void dense_outer(const Dense &dense, const number *g, const number *transposed, number *of_weight, bool first) {
    const long width = padded(dense.inputs);
    // A few columns for all units, so that they stay in the nearest cache.
    auto take = [&](auto wide, long column) {
        constexpr long V = decltype(wide)::value;
        for (long unit = 0; unit < dense.units; unit += UNITS) {
            long from, until;
            alive(dense.rows, unit, dense.units, dense.inputs, from, until);
            if (until <= column || from >= column + V * LANES) continue;
            number *to = of_weight + unit * width + column;
            tile<V>(
                ROWS, g + unit * ROWS, ROWS, 1, transposed + column * ROWS, LANES, ROWS * LANES,
                [&](long u, long v) { return first ? vec{} : load(to + u * width + v * LANES); },
                [&](long u, long v, vec sum) { store(to + u * width + v * LANES, sum); });
        }
    };
    long column = 0;
    for (; column + WIDE * LANES <= width; column += WIDE * LANES) take(std::integral_constant<long, WIDE>{}, column);
    for (; column < width; column += LANES) take(std::integral_constant<long, 1>{}, column);
}

#if __has_builtin(__builtin_shufflevector)
// Of two rows of a square matrix that are STEP apart, exchange the upper right with the lower left squares of that side.
template <long STEP, size_t... LANE> INLINE void exchange(vec &upper, vec &lower, std::index_sequence<LANE...>) {
    const vec a = upper, b = lower;
    upper = __builtin_shufflevector(a, b, (LANE & STEP ? LANES + LANE - STEP : LANE)...);
    lower = __builtin_shufflevector(a, b, (LANE & STEP ? LANES + LANE : LANE + STEP)...);
}

// The transpose of LANES by LANES numbers, by exchanging quarters, then quarters of these, and so on.
template <long STEP = LANES / 2> INLINE void transpose_block(vec *block) {
    for (long i = 0; i < LANES; i++)
        if (!(i & STEP)) exchange<STEP>(block[i], block[i + STEP], std::make_index_sequence<LANES>{});
    if constexpr (STEP > 1) transpose_block<STEP / 2>(block);
}
#else
INLINE void transpose_block(vec *block) {
    for (long i = 0; i < LANES; i++)
        for (long k = 0; k < i; k++) {
            const number other = block[i][k];
            block[i][k] = block[k][i], block[k][i] = other;
        }
}
#endif

// (inputs, ROWS) to (padded inputs / LANES, ROWS, LANES): whole rows, a power of two apart, would evict each other from
// the nearest cache.
INLINE void transpose(const number *h, long inputs, number *to) {
    for (long k = 0; k < inputs; k += LANES)
        for (long row = 0; row < ROWS; row += LANES) {
            vec block[LANES];
            for (long i = 0; i < LANES; i++) block[i] = load(h + (k + i) * ROWS + row);
            transpose_block(block);
            for (long i = 0; i < LANES; i++) store(to + k * ROWS + (row + i) * LANES, block[i]);
        }
}

INLINE void layer_gradients(const LayerCall &call) {
    const Layer layer(call);
    const long count = call.count, chunks = (count + ROWS - 1) / ROWS, numbers = parameter_count(layer.map);
    const long threads = least(call.threads, chunks);
    const number *const saved = call.saved;
    number *workspace = call.workspace;
    number *panels = workspace;
    workspace += layer.weights();
    const number *masked = saved;
    for (long l = 0; l < layer.depth; l++) {
        if (l || call.of_known) into_panels(layer.dense[l], masked, panels, threads);
        masked += weight_size(layer.dense[l]), panels += weight_size(layer.dense[l]);
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long thread = 0; thread < threads; thread++) {
        number *of_weights = workspace + thread * layer.workspace();
        number *of_biases = of_weights + layer.weights(), *g = of_biases + layer.units() * LANES;
        number *g_next = g + layer.widest() * ROWS, *g_before = g_next + layer.widest() * ROWS;
        number *transposed = g_before + layer.widest() * ROWS;
        std::memset(of_biases, 0, sizeof(number) * (layer.units() * LANES + 3 * layer.widest() * ROWS));
        for (long chunk = thread * chunks / threads; chunk < (thread + 1) * chunks / threads; chunk++) {
            const long row = chunk * ROWS;
            const number *end = saved + layer.weights() + (chunk + 1) * layer.units() * ROWS;
            const number *h = end - padded(layer.dense[layer.depth - 1].units) * ROWS;
            for (long at = row; at < row + ROWS; at += LANES) {
                const long here = most(0, least(LANES, count - at));
                vec of_log = {};
                for (long i = 0; i < here; i++) of_log[i] = call.of_log_det[at + i];
                for (long f = 0; f < layer.features(); f++) {
                    const number *value = call.value + f * count + at, *of_mapped = call.of_mapped + f * count + at;
                    vec p[3 * MOST_BINS + 1], of_p[3 * MOST_BINS + 1], v = {}, g_mapped = {};
                    for (long k = 0; k < numbers; k++) p[k] = load(h + (f * numbers + k) * ROWS + at - row);
                    if (here == LANES) {
                        v = load(value), g_mapped = load(of_mapped);
                    } else {
                        for (long i = 0; i < here; i++) v[i] = value[i], g_mapped[i] = of_mapped[i];
                    }
                    const vec of_v = gradients(layer.map, call.inverse, v, p, g_mapped, of_log, of_p);
                    store_some(call.of_value + f * count + at, of_v, here);
                    for (long k = 0; k < numbers; k++) store(g + (f * numbers + k) * ROWS + at - row, of_p[k]);
                }
            }
            const number *panel = panels;
            number *of_weight = of_weights + layer.weights(), *of_bias = of_biases + layer.units() * LANES;
            for (long l = layer.depth - 1; l >= 0; l--) {
                const Dense &dense = layer.dense[l];
                panel -= weight_size(dense), of_weight -= weight_size(dense);
                of_bias -= padded(dense.units) * LANES, h -= padded(dense.inputs) * ROWS;
                transpose(h, dense.inputs, transposed);
                dense_outer(dense, g, transposed, of_weight, chunk == thread * chunks / threads);
                for (long u = 0; u < dense.units; u++) {
                    vec total = load(of_bias + u * LANES);
                    for (long v = 0; v < ROWS; v += LANES) total += load(g + u * ROWS + v);
                    store(of_bias + u * LANES, total);
                }
                if (l == 0 && call.of_added)
                    for (long u = 0; u < dense.units; u++)
                        std::memcpy(call.of_added + u * count + row, g + u * ROWS, sizeof(number) * least(ROWS, count - row));
                if (l == 0 && !call.of_known) break;
                const bool skipped = l && layer.is_skipped_to(l - 1);
                dense_transposed(dense, panel, g, g_next, l ? h : nullptr, skipped ? g_before : nullptr);
                number *other = g_before;
                g_before = g, g = g_next, g_next = other;
            }
            if (!call.of_known) continue;
            const long here = least(ROWS, count - row);
            for (long f = 0; f < layer.inputs(); f++)
                for (long i = 0; i < here; i++) {
                    number *to = call.of_known + f * count + row + i;
                    *to = g[f * ROWS + i] + (call.of_known == call.of_value ? *to : 0.0f);
                }
        }
    }
    // The sum over threads, masked.
    long weight_at = 0, bias_at = layer.weights() + padded(layer.inputs()) * LANES;
    for (long l = 0; l < layer.depth; l++) {
        const Dense &dense = layer.dense[l];
        const long width = padded(dense.inputs);
#pragma omp parallel for num_threads(threads) schedule(static) if (dense.units * width >= WORTH_THREADS)
        for (long u = 0; u < dense.units; u++) {
            const number *mask = dense.mask ? dense.mask + u * dense.inputs : nullptr;
            number *to = dense.of_weight + u * dense.inputs;
            long from, until;
            alive(dense.rows, u, u + 1, dense.inputs, from, until);
            from = from / LANES * LANES;
            std::memset(to, 0, sizeof(number) * from);
            for (long k = from; k < until; k += LANES) {
                vec total = {};
                for (long t = 0; t < threads; t++) total += load(workspace + t * layer.workspace() + weight_at + u * width + k);
                const long here = least(LANES, dense.inputs - k);
                if (mask) total *= here == LANES ? load(mask + k) : load_some(mask + k, here);
                if (here == LANES)
                    store(to + k, total);
                else
                    store_some(to + k, total, here);
            }
            const long end = least(dense.inputs, from + (until - from + LANES - 1) / LANES * LANES);
            std::memset(to + end, 0, sizeof(number) * (dense.inputs - end));
            vec bias = {};
            for (long t = 0; t < threads; t++) bias += load(workspace + t * layer.workspace() + bias_at + u * LANES);
            number sum = 0;
            for (long i = 0; i < LANES; i++) sum += bias[i];
            dense.of_bias[u] = sum;
        }
        weight_at += weight_size(dense), bias_at += padded(dense.units) * LANES;
    }
}

} // namespace whole_layer
} // namespace
