// A whole layer, a network of rectifiers and the univariate maps whose parameters it supplies, for 64 rows at a time:
// everything between input and result stays in the processor's caches.
#pragma once
#include <cstring>

#include "threads.h"
#include "tile.h"
#include "univariate.h"

// Each of the three builds has its own copy of everything here, compiled for its own instructions.
namespace {
namespace whole_layer {

constexpr long ROWS = 64;
// This many chunks of rows go through the gradients before the next ones.
constexpr long BAND = 16;
// One pass over fewer numbers is over before a second thread wakes.
constexpr long WORTH_THREADS = 65536;
// Rows of a matrix that a thread takes at a time.
constexpr long ROWS_OF_PART = 32;

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
INLINE void mask_weights(const Dense &dense, number *to, long threads) {
    const long width = padded(dense.inputs), height = padded(dense.units);
    in_parts_of(ROWS_OF_PART, height, height * width < WORTH_THREADS ? 1 : threads, [&](long u) {
        long from = 0, until = 0;
        if (u < dense.units) alive(dense.rows, u, u + 1, dense.inputs, from, until);
        const number *weight = dense.weight + u * dense.inputs, *mask = dense.mask + u * dense.inputs;
        number *row = to + u * width;
        std::memset(row, 0, sizeof(number) * width);
        if (dense.mask)
            for (long k = from; k < until; k++) row[k] = weight[k] * mask[k];
        else
            std::memcpy(row + from, weight + from, sizeof(number) * (until - from));
    });
}

// weight h + bias + added, h (inputs, ROWS) to (units, ROWS), rectified unless `last`, and before that copied to
// `unrectified`. `added` and `unrectified` may be null.
INLINE void dense_forward(const Dense &dense, const number *weight, const number *h, const number *added, number *to,
                          number *unrectified, bool last) {
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

// The parts of a call. `saved` holds the masked weights, then for each chunk of rows the inputs and the results of every
// dense layer, one after the other. `workspace` holds the weights in panels, sums for the biases, and for each chunk of a
// band the gradients of inputs and results, laid out in the same way, then the inputs of every dense layer transposed.
struct Layer {
    long depth;
    const Dense *dense;
    Map map;

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
    LayerSizes sizes(long count) const {
        const long chunks = (count + ROWS - 1) / ROWS;
        return {weights(), weights() + chunks * units() * ROWS,
                weights() + units() * LANES + least(chunks, BAND) * 2 * units() * ROWS};
    }
};

INLINE void load_rows(const number *from, long count, long features, long row, number *to) {
    const long here = least(ROWS, count - row);
    std::memset(to, 0, sizeof(number) * padded(features) * ROWS);
    for (long f = 0; f < features; f++) std::memcpy(to + f * ROWS, from + f * count + row, sizeof(number) * here);
}

// One chunk of rows forwards; `h` is its part of `saved`, `stream` has room for one result.
INLINE void forward_chunk(const LayerCall &call, const Layer &layer, long chunk, number *h, number *stream) {
    const long count = call.count, row = chunk * ROWS, numbers = parameter_count(layer.map);
    const number *weight = call.saved;
    load_rows(call.known, count, layer.inputs(), row, h);
    for (long l = 0; l < layer.depth; l++) {
        const Dense &dense = layer.dense[l];
        number *to = h + padded(dense.inputs) * ROWS;
        if (l == 0 && call.added) load_rows(call.added, count, dense.units, row, to);
        const number *added = l == 0 && call.added ? to : dense.skip ? stream : nullptr;
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
            const number *value = call.value + f * count + at;
            const vec v = here == LANES ? load(value) : load_some(value, here);
            const Pair pair = apply(layer.map, call.inverse, v, p);
            store_some(call.mapped + f * count + at, pair.value, here);
            total += pair.log_derivative;
        }
        store_some(call.log_det + at, total, here);
    }
}

INLINE void layer_forward(const LayerCall &call) {
    const Layer layer(call);
    number *weights = call.saved;
    for (long l = 0; l < layer.depth; l++) {
        mask_weights(layer.dense[l], weights, call.threads);
        weights += weight_size(layer.dense[l]);
    }
    const long of_chunk = layer.units() * ROWS, of_stream = sizeof(number) * layer.widest() * ROWS;
    in_parts((call.count + ROWS - 1) / ROWS, call.threads, [&](long chunk) {
        thread_local Memory stream;
        forward_chunk(call, layer, chunk, weights + chunk * of_chunk, (number *)stream.of(of_stream));
    });
}

} // namespace whole_layer
} // namespace
