// The gradients of a whole layer, see layer.h.
//
// First those of values and results, chunk by chunk of rows; then those of weights, stretch by stretch of each matrix. Each
// number is a sum in one order, whichever threads compute it: no result depends on the number of threads.
#pragma once
#include <type_traits>
#include <utility>

#include "layer.h"

// Each of the builds has its own copy of everything here, compiled for its own instructions.
namespace {
namespace whole_layer {

// Weights in panels of UNITS inputs: what a tile of the transpose reads is contiguous.
INLINE void into_panels(const Dense &dense, const number *weight, number *panels, long threads) {
    const long width = padded(dense.inputs), height = padded(dense.units);
    in_parts_of(ROWS_OF_PART / UNITS, width / UNITS, height * width < WORTH_THREADS ? 1 : threads, [&](long panel) {
        const long k = panel * UNITS;
        long from, until;
        alive(dense.columns, k, dense.inputs, dense.units, from, until);
        for (long unit = from; unit < until; unit++)
            std::memcpy(panels + k * height + unit * UNITS, weight + unit * width + k, sizeof(number) * UNITS);
    });
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

// The gradients of a chunk of rows with respect to values, parameters, and the results and inputs of every dense layer.
// `end` is behind the chunk's results in `saved`, `g` behind its gradients, `turned` at its transposed inputs.
INLINE void back_through_chunk(const LayerCall &call, const Layer &layer, long chunk, const number *panels,
                               const number *end, number *g, number *turned) {
    const long count = call.count, row = chunk * ROWS, numbers = parameter_count(layer.map);
    const number *h = end - padded(layer.dense[layer.depth - 1].units) * ROWS;
    g -= padded(layer.dense[layer.depth - 1].units) * ROWS;
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
    const number *of_skipping = nullptr; // the gradient of the result of the layer after the last
    for (long l = layer.depth - 1; l >= 0; l--) {
        const Dense &dense = layer.dense[l];
        panels -= weight_size(dense), h -= padded(dense.inputs) * ROWS;
        transpose(h, dense.inputs, turned + (h - end) + layer.units() * ROWS);
        if (l == 0 && call.of_added)
            for (long u = 0; u < dense.units; u++)
                std::memcpy(call.of_added + u * count + row, g + u * ROWS, sizeof(number) * least(ROWS, count - row));
        if (l == 0 && !call.of_known) return;
        const bool skipped = l && layer.is_skipped_to(l - 1);
        number *to = g - padded(dense.inputs) * ROWS;
        dense_transposed(dense, panels, g, to, l ? h : nullptr, skipped ? of_skipping : nullptr);
        of_skipping = g, g = to;
    }
    const long here = least(ROWS, count - row);
    for (long f = 0; f < layer.inputs(); f++)
        for (long i = 0; i < here; i++) {
            number *to = call.of_known + f * count + row + i;
            *to = g[f * ROWS + i] + (call.of_known == call.of_value ? *to : 0.0f);
        }
}

// Units and inputs of a stretch of a matrix whose gradients are computed together.
constexpr long HIGH = 64, BROAD = WIDE * LANES;

// Σ over rows g hᵀ for the units from `first` and the inputs from `column` on. `g` and `turned` are those of the first chunk
// of a band, the next ones `of_chunk` numbers further on; all bands but the first add to the sums of those before.
INLINE void of_weights(const Dense &dense, long first, long column, const number *g, const number *turned, long chunks,
                       long of_chunk, bool adds) {
    const long end = least(first + HIGH, dense.units), columns = least(BROAD, dense.inputs - column);
    number sums[HIGH * BROAD];
    for (long u = first; u < end; u++) {
        number *sum = sums + (u - first) * BROAD;
        std::memset(sum, 0, sizeof(number) * BROAD);
        if (adds) std::memcpy(sum, dense.of_weight + u * dense.inputs + column, sizeof(number) * columns);
    }
    for (long chunk = 0; chunk < chunks; chunk++, g += of_chunk, turned += of_chunk)
        for (long unit = first; unit < end; unit += UNITS) {
            long from, until;
            alive(dense.rows, unit, dense.units, dense.inputs, from, until);
            if (until <= column || from >= column + BROAD) continue;
            auto take = [&](auto wide, long from) {
                number *sum = sums + (unit - first) * BROAD + from;
                tile<decltype(wide)::value>(
                    ROWS, g + unit * ROWS, ROWS, 1, turned + (column + from) * ROWS, LANES, ROWS * LANES,
                    [&](long u, long v) { return load(sum + u * BROAD + v * LANES); },
                    [&](long u, long v, vec total) { store(sum + u * BROAD + v * LANES, total); });
            };
            if (columns > BROAD - LANES)
                take(std::integral_constant<long, WIDE>{}, 0);
            else
                for (long k = 0; k < columns; k += LANES) take(std::integral_constant<long, 1>{}, k);
        }
    for (long u = first; u < end; u++) {
        const number *sum = sums + (u - first) * BROAD, *mask = dense.mask + u * dense.inputs + column;
        number *to = dense.of_weight + u * dense.inputs + column;
        long from, until;
        alive(dense.rows, u, u + 1, dense.inputs, from, until);
        from = most(0, least(from - column, columns)), until = most(from, least(until - column, columns));
        std::memset(to, 0, sizeof(number) * from);
        for (long k = from; k < until; k++) to[k] = dense.mask ? sum[k] * mask[k] : sum[k];
        std::memset(to + until, 0, sizeof(number) * (columns - until));
    }
}

// Σ over rows g for the units from `first` on; `sums` holds a vector of partial sums for each unit.
INLINE void of_biases(const Dense &dense, long first, const number *g, long chunks, long of_chunk, number *sums,
                      bool adds) {
    for (long u = first; u < least(first + HIGH, dense.units); u++) {
        vec total = adds ? load(sums + u * LANES) : vec{};
        for (long chunk = 0; chunk < chunks; chunk++)
            for (long v = 0; v < ROWS; v += LANES) total += load(g + chunk * of_chunk + u * ROWS + v);
        store(sums + u * LANES, total);
        number sum = 0;
        for (long i = 0; i < LANES; i++) sum += total[i];
        dense.of_bias[u] = sum;
    }
}

INLINE void layer_gradients(const LayerCall &call) {
    const Layer layer(call);
    const long chunks = (call.count + ROWS - 1) / ROWS, of_chunk = layer.units() * ROWS;
    const number *saved = call.saved;
    number *panels = call.workspace, *sums = panels + layer.weights(), *band = sums + layer.units() * LANES;
    for (long l = 0; l < layer.depth; l++) {
        if (l || call.of_known) into_panels(layer.dense[l], saved, panels, call.threads);
        saved += weight_size(layer.dense[l]), panels += weight_size(layer.dense[l]);
    }
    for (long first = 0; first < chunks; first += BAND) {
        const long here = least(BAND, chunks - first);
        in_parts(here, call.threads, [&](long k) {
            number *g = band + k * 2 * of_chunk;
            back_through_chunk(call, layer, first + k, panels, saved + (first + k + 1) * of_chunk, g + of_chunk,
                               g + of_chunk);
        });
        // Of each dense layer the stretches of its weights, and behind them those of its biases.
        long parts = 0;
        auto stretches = [&](const Dense &dense) {
            return ((dense.inputs + BROAD - 1) / BROAD + 1) * ((dense.units + HIGH - 1) / HIGH);
        };
        for (long l = 0; l < layer.depth; l++) parts += stretches(layer.dense[l]);
        in_parts(parts, call.threads, [&](long part) {
            const Dense *dense = layer.dense;
            long unit_at = 0;
            for (; part >= stretches(*dense); dense++) part -= stretches(*dense), unit_at += padded(dense->inputs);
            const long broad = (dense->inputs + BROAD - 1) / BROAD, high = part / (broad + 1) * HIGH;
            const long column = part % (broad + 1) * BROAD, result_at = unit_at + padded(dense->inputs);
            const number *g = band + result_at * ROWS, *turned = band + of_chunk + unit_at * ROWS;
            if (column < dense->inputs)
                of_weights(*dense, high, column, g, turned, here, 2 * of_chunk, first > 0);
            else
                of_biases(*dense, high, g, here, 2 * of_chunk, sums + result_at * LANES, first > 0);
        });
    }
}

} // namespace whole_layer
} // namespace
