// A whole layer, a network of rectifiers and the univariate maps whose parameters it supplies, with its gradients, for 64
// rows at a time: everything between input and result stays in the processor's caches.
#pragma once
#include <cstring>
#include <type_traits>
#include <utility>

#include "tile.h"
#include "univariate.h"

// Each of the three builds has its own copy of everything here, compiled for its own instructions.
namespace {
namespace whole_layer {

constexpr long ROWS = 64;
// One pass over fewer numbers is over before a second thread wakes.
constexpr long WORTH_THREADS = 16384;

INLINE long least(long a, long b) { return a < b ? a : b; }
INLINE long most(long a, long b) { return a > b ? a : b; }
INLINE long weight_size(const Dense &dense) { return padded(dense.units) * padded(dense.inputs); }

// The stretch in which the entries from first to end, at most UNITS, are alive.
INLINE void alive(const int32_t *reach, long first, long end, long count, long &from, long &to) {
    if (!reach) {
        from = 0, to = count;
        return;
    }
    from = count, to = 0;
    for (long k = first; k < least(first + UNITS, end); k++)
        if (reach[2 * k] < reach[2 * k + 1]) from = least(from, reach[2 * k]), to = most(to, reach[2 * k + 1]);
    from = least(from, to);
}

// weight · mask, with rows and columns padded by zeros.
INLINE void mask_weights(const Dense &dense, float *to, int threads) {
    const long width = padded(dense.inputs), height = padded(dense.units);
#pragma omp parallel for num_threads(threads) schedule(static) if (height * width >= WORTH_THREADS)
    for (long u = 0; u < height; u++) {
        long from = 0, until = 0;
        if (u < dense.units) alive(dense.rows, u, u + 1, dense.inputs, from, until);
        const float *weight = dense.weight + u * dense.inputs, *mask = dense.mask + u * dense.inputs;
        float *row = to + u * width;
        std::memset(row, 0, sizeof(float) * width);
        if (dense.mask)
            for (long k = from; k < until; k++) row[k] = weight[k] * mask[k];
        else
            std::memcpy(row + from, weight + from, sizeof(float) * (until - from));
    }
}

// weight h + bias + added, h (inputs, ROWS) to (units, ROWS), rectified unless `last`, and before that copied to
// `unrectified`. `added` and `unrectified` may be null.
INLINE void dense_forward(const Dense &dense, const float *weight, const float *h, const float *added, float *to,
                          float *unrectified, bool last) {
    const long width = padded(dense.inputs);
    for (long unit = 0; unit < dense.units; unit += UNITS) {
        long from, until;
        alive(dense.rows, unit, dense.units, dense.inputs, from, until);
        for (long row = 0; row < ROWS; row += WIDE * LANES)
            tile<WIDE>(
                until - from, weight + unit * width + from, width, 1, h + from * ROWS + row, ROWS, LANES,
                [&](long u, long v) {
                    const vec bias = unit + u < dense.units ? all(dense.bias[unit + u]) : vec{};
                    return added ? bias + load(added + (unit + u) * ROWS + row + v * LANES) : bias;
                },
                [&](long u, long v, vec sum) {
                    const long at = (unit + u) * ROWS + row + v * LANES;
                    if (unrectified) store(unrectified + at, sum);
                    store(to + at, last ? sum : maximum(sum, vec{}));
                });
    }
}

// Weights in panels of UNITS inputs: what a tile of the transpose reads is contiguous.
INLINE void into_panels(const Dense &dense, const float *weight, float *panels, int threads) {
    const long width = padded(dense.inputs), height = padded(dense.units);
#pragma omp parallel for num_threads(threads) schedule(static) if (height * width >= WORTH_THREADS)
    for (long k = 0; k < width; k += UNITS) {
        long from, until;
        alive(dense.columns, k, dense.inputs, dense.units, from, until);
        for (long unit = from; unit < until; unit++)
            std::memcpy(panels + k * height + unit * UNITS, weight + unit * width + k, sizeof(float) * UNITS);
    }
}

// weightᵀ g, g (units, ROWS) to (inputs, ROWS), zero where `rectified` is zero, plus `added`.
INLINE void dense_transposed(const Dense &dense, const float *panels, const float *g, float *to, const float *rectified,
                             const float *added) {
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
INLINE void dense_outer(const Dense &dense, const float *g, const float *transposed, float *of_weight, bool first) {
    const long width = padded(dense.inputs);
    // A few columns for all units, so that they stay in the nearest cache.
    auto take = [&](auto wide, long column) {
        constexpr long V = decltype(wide)::value;
        for (long unit = 0; unit < dense.units; unit += UNITS) {
            long from, until;
            alive(dense.rows, unit, dense.units, dense.inputs, from, until);
            if (until <= column || from >= column + V * LANES) continue;
            float *to = of_weight + unit * width + column;
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
            const float other = block[i][k];
            block[i][k] = block[k][i], block[k][i] = other;
        }
}
#endif

// (inputs, ROWS) to (padded inputs / LANES, ROWS, LANES): whole rows, a power of two apart, would evict each other from
// the nearest cache.
INLINE void transpose(const float *h, long inputs, float *to) {
    for (long k = 0; k < inputs; k += LANES)
        for (long row = 0; row < ROWS; row += LANES) {
            vec block[LANES];
            for (long i = 0; i < LANES; i++) block[i] = load(h + (k + i) * ROWS + row);
            transpose_block(block);
            for (long i = 0; i < LANES; i++) store(to + k * ROWS + (row + i) * LANES, block[i]);
        }
}

// The parts of a call, and how much of `saved` each takes: first the masked weights, then for each 64 rows the inputs and
// the results of every dense layer.
struct Layer {
    long depth;
    const Dense *dense;
    Univariate map;

    explicit Layer(const LayerCall &call) : depth(call.depth), dense(call.dense), map(call.univariate) {}
    long inputs() const { return dense[0].inputs; }
    long features() const { return dense[depth - 1].units / parameter_count(map); }
    long weights() const {
        long total = 0;
        for (long l = 0; l < depth; l++) total += weight_size(dense[l]);
        return total;
    }
    long units() const {
        long total = padded(inputs());
        for (long l = 0; l < depth; l++) total += padded(dense[l].units);
        return total;
    }
    long widest() const {
        long widest = padded(inputs());
        for (long l = 0; l < depth; l++) widest = most(widest, padded(dense[l].units));
        return widest;
    }
    // Whether the result of a dense layer is added two layers later.
    bool is_skipped_to(long l) const { return l + 2 < depth && dense[l + 2].skip; }
    // Of each thread: gradients of weights and, unsummed, of biases, and four blocks of rows.
    long workspace() const { return weights() + units() * LANES + 4 * widest() * ROWS; }
    LayerSizes sizes() const { return {weights(), units() * ROWS, widest() * ROWS, workspace()}; }
};

INLINE void load_rows(const float *from, long count, long features, long row, float *to) {
    const long here = least(ROWS, count - row);
    std::memset(to, 0, sizeof(float) * padded(features) * ROWS);
    for (long f = 0; f < features; f++) std::memcpy(to + f * ROWS, from + f * count + row, sizeof(float) * here);
}

INLINE void layer_forward(const LayerCall &call) {
    const Layer layer(call);
    const long count = call.count, chunks = (count + ROWS - 1) / ROWS, numbers = parameter_count(layer.map);
    const long threads = call.threads;
    float *const saved = call.saved;
    float *weights = saved;
    for (long l = 0; l < layer.depth; l++) {
        mask_weights(layer.dense[l], weights, threads);
        weights += weight_size(layer.dense[l]);
    }
    float *streams = weights + chunks * layer.units() * ROWS;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long thread = 0; thread < threads; thread++)
    for (long chunk = thread * chunks / threads; chunk < (thread + 1) * chunks / threads; chunk++) {
        const long row = chunk * ROWS;
        float *h = saved + layer.weights() + chunk * layer.units() * ROWS;
        float *stream = streams + thread * layer.widest() * ROWS;
        const float *weight = saved;
        load_rows(call.known, count, layer.inputs(), row, h);
        for (long l = 0; l < layer.depth; l++) {
            const Dense &dense = layer.dense[l];
            float *to = h + padded(dense.inputs) * ROWS;
            if (l == 0 && call.added) load_rows(call.added, count, dense.units, row, to);
            const float *added = l == 0 && call.added ? to : dense.skip ? stream : nullptr;
            dense_forward(dense, weight, h, added, to, layer.is_skipped_to(l) ? stream : nullptr, l + 1 == layer.depth);
            weight += weight_size(dense);
            h = to;
        }
        for (long at = row; at < least(row + ROWS, count); at += LANES) {
            const long here = least(LANES, count - at);
            vec total = {};
            for (long f = 0; f < layer.features(); f++) {
                vec p[3 * MOST_BINS + 1];
                for (long k = 0; k < numbers; k++) p[k] = load(h + (f * numbers + k) * ROWS + at - row);
                const float *value = call.value + f * count + at;
                const vec v = here == LANES ? load(value) : load_some(value, here);
                const Pair pair = apply(layer.map, call.inverse, v, p);
                store_some(call.mapped + f * count + at, pair.value, here);
                total += pair.log_derivative;
            }
            store_some(call.log_det + at, total, here);
        }
    }
}

INLINE void layer_gradients(const LayerCall &call) {
    const Layer layer(call);
    const long count = call.count, chunks = (count + ROWS - 1) / ROWS, numbers = parameter_count(layer.map);
    const long threads = least(call.threads, chunks);
    const float *const saved = call.saved;
    float *workspace = call.workspace;
    float *panels = workspace;
    workspace += layer.weights();
    const float *masked = saved;
    for (long l = 0; l < layer.depth; l++) {
        if (l || call.of_known) into_panels(layer.dense[l], masked, panels, threads);
        masked += weight_size(layer.dense[l]), panels += weight_size(layer.dense[l]);
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long thread = 0; thread < threads; thread++) {
        float *of_weights = workspace + thread * layer.workspace();
        float *of_biases = of_weights + layer.weights(), *g = of_biases + layer.units() * LANES;
        float *g_next = g + layer.widest() * ROWS, *g_before = g_next + layer.widest() * ROWS;
        float *transposed = g_before + layer.widest() * ROWS;
        std::memset(of_biases, 0, sizeof(float) * (layer.units() * LANES + 3 * layer.widest() * ROWS));
        for (long chunk = thread * chunks / threads; chunk < (thread + 1) * chunks / threads; chunk++) {
            const long row = chunk * ROWS;
            const float *end = saved + layer.weights() + (chunk + 1) * layer.units() * ROWS;
            const float *h = end - padded(layer.dense[layer.depth - 1].units) * ROWS;
            for (long at = row; at < row + ROWS; at += LANES) {
                const long here = most(0, least(LANES, count - at));
                vec of_log = {};
                for (long i = 0; i < here; i++) of_log[i] = call.of_log_det[at + i];
                for (long f = 0; f < layer.features(); f++) {
                    const float *value = call.value + f * count + at, *of_mapped = call.of_mapped + f * count + at;
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
            const float *panel = panels;
            float *of_weight = of_weights + layer.weights(), *of_bias = of_biases + layer.units() * LANES;
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
                        std::memcpy(call.of_added + u * count + row, g + u * ROWS, sizeof(float) * least(ROWS, count - row));
                if (l == 0 && !call.of_known) break;
                const bool skipped = l && layer.is_skipped_to(l - 1);
                dense_transposed(dense, panel, g, g_next, l ? h : nullptr, skipped ? g_before : nullptr);
                float *other = g_before;
                g_before = g, g = g_next, g_next = other;
            }
            if (!call.of_known) continue;
            const long here = least(ROWS, count - row);
            for (long f = 0; f < layer.inputs(); f++)
                for (long i = 0; i < here; i++) {
                    float *to = call.of_known + f * count + row + i;
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
            const float *mask = dense.mask ? dense.mask + u * dense.inputs : nullptr;
            float *to = dense.of_weight + u * dense.inputs;
            long from, until;
            alive(dense.rows, u, u + 1, dense.inputs, from, until);
            from = from / LANES * LANES;
            std::memset(to, 0, sizeof(float) * from);
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
            std::memset(to + end, 0, sizeof(float) * (dense.inputs - end));
            vec bias = {};
            for (long t = 0; t < threads; t++) bias += load(workspace + t * layer.workspace() + bias_at + u * LANES);
            float sum = 0;
            for (long i = 0; i < LANES; i++) sum += bias[i];
            dense.of_bias[u] = sum;
        }
        weight_at += weight_size(dense), bias_at += padded(dense.units) * LANES;
    }
}

} // namespace whole_layer
} // namespace
