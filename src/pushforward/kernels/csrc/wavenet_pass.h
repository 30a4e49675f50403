// A WaveNet (networks/wavenet.py) for many samples of one sequence at once.
//
// Here a vector holds samples: `SPAN` of them are computed at a time. The order of additions is the same for every sample,
// wherever it is in a call.
#pragma once
#include "tile.h"
#include "wavenet.h"

// Each of the three builds has its own copy of everything here, compiled for its own instructions.
namespace {

constexpr long SPAN = 64;
// This many samples go through the whole network before the next ones, so that they stay in the cache.
constexpr long MOST_SAMPLES = 1024;

INLINE long tiled(long size) { return (size + UNITS - 1) / UNITS * UNITS; }

// to += weight · from for SPAN samples; row r and column j of the weight is weight[j * stride + r].
void add_span(const float *weight, long stride, long rows, long columns, const float *from, long from_stride, float *to,
              long to_stride) {
    for (long r = 0; r < rows; r += UNITS)
        for (long t = 0; t < SPAN; t += WIDE * LANES) {
            float *out = to + r * to_stride + t;
            tile<WIDE>(
                columns, weight + r, 1, stride, from + t, from_stride, LANES,
                [&](long u, long v) { return load(out + u * to_stride + v * LANES); },
                [&](long u, long v, vec sum) { store(out + u * to_stride + v * LANES, sum); });
        }
}

INLINE void fill(float *to, long count, float value) {
    for (long i = 0; i < count; i++) to[i] = value;
}

// Rows of SPAN samples, each filled with its bias.
INLINE void fill_span(const float *bias, long rows, float *to, long to_stride) {
    for (long r = 0; r < rows; r++)
        for (long t = 0; t < SPAN; t += LANES) store(to + r * to_stride + t, all(bias[r]));
}

INLINE void rectify_span(long rows, float *values, long stride) {
    for (long r = 0; r < rows; r++) rectify(values + r * stride, SPAN);
}

// The memory that one pass works in, for at most MOST_SAMPLES samples.
struct Room {
    long rows, rows_of_skip, rows_of_output, past, stride;
    float *now, *next, *gates, *out, *skip, *hidden, *parameters;

    Room(const Network &n) : rows(tiled(n.channels)), rows_of_skip(tiled(n.skip)), rows_of_output(tiled(n.outputs)), past(0) {
        for (long l = 0; l < n.layers; l++) past = n.dilations[l] > past ? n.dilations[l] : past;
        past = padded((n.taps - 1) * past);
        stride = past + MOST_SAMPLES;
        const long inputs = n.inputs * MOST_SAMPLES;
        const long inputs_or_next = (rows * stride > inputs ? rows * stride : inputs);
        const long size = rows * stride + inputs_or_next + 3 * rows * SPAN + rows_of_skip * (MOST_SAMPLES + SPAN) + rows_of_output * SPAN;
        now = (float *)std::calloc(size, sizeof(float));
        next = now + rows * stride;
        gates = next + inputs_or_next;
        out = gates + 2 * rows * SPAN;
        skip = out + rows * SPAN;
        hidden = skip + rows_of_skip * MOST_SAMPLES;
        parameters = hidden + rows_of_skip * SPAN;
    }
};

// The bias of a layer's gates plus what the context adds to the samples of each frame, from sample `time` on.
void start_gates(const Network &n, const Room &room, const float *bias, const float *added, long of_frame, long first,
                        long hop, long time, long here) {
    for (long half = 0; half < 2; half++)
        for (long r = 0; r < room.rows; r++) {
            float *to = room.gates + (half * room.rows + r) * SPAN;
            const long unit = half * n.wide + r;
            if (!added) {
                fill(to, SPAN, bias[unit]);
                continue;
            }
            for (long t = 0; t < SPAN;) {
                // What fills the span after the last sample counts as part of the last frame.
                const long inside = t < here ? t : here - 1, frame = (time + inside) / hop;
                long end = t < here ? (frame + 1) * hop - time : SPAN;
                if (end > SPAN) end = SPAN;
                fill(to + t, end - t, bias[unit] + added[(frame - first) * of_frame + unit]);
                t = end;
            }
        }
}

// Parameters, (outputs, samples) with rows `to_stride` apart, of at most MOST_SAMPLES samples from `time` on, from what
// describes the sample before each, (inputs, samples) with rows `from_stride` apart. `history`, each layer's past
// (channels, length), is updated.
void run_pass(const Network &n, const Room &room, const float *from, long from_stride, long samples, long time,
              float *history, const float *added, long of_frame, long first, long hop, float *to, long to_stride) {
    float *now = room.now, *next = room.next;
    const long stride = room.stride, past = room.past;
    const long spans = (samples + SPAN - 1) / SPAN;
    // A copy, so that whole spans can be read.
    for (long j = 0; j < n.inputs; j++) {
        float *row = next + j * MOST_SAMPLES;
        __builtin_memcpy(row, from + j * from_stride, samples * sizeof(float));
        fill(row + samples, spans * SPAN - samples, 0.0f);
    }
    for (long s = 0; s < spans; s++) {
        fill_span(n.input, room.rows, now + past + s * SPAN, stride);
        add_span(n.input + n.wide, n.wide, room.rows, n.inputs, next + s * SPAN, MOST_SAMPLES, now + past + s * SPAN, stride);
        fill_span(n.skips, room.rows_of_skip, room.skip + s * SPAN, MOST_SAMPLES);
    }
    const float *skips = n.skips + n.wide_skip;
    for (long l = 0; l < n.layers; l++) {
        const float *bias = n.layer + l * n.layer_size, *weight = bias + 2 * n.wide;
        const float *residual = weight + n.taps * n.channels * 2 * n.wide;
        const long length = (n.taps - 1) * n.dilations[l];
        for (long r = 0; r < n.channels; r++) {
            float *row = now + r * stride + past, *before = history + r * length;
            __builtin_memcpy(row - length, before, length * sizeof(float));
            __builtin_memcpy(before, row + samples - length, length * sizeof(float));
        }
        history += n.channels * length;
        for (long s = 0; s < spans; s++) {
            const long at = s * SPAN, here = samples - at < SPAN ? samples - at : SPAN;
            start_gates(n, room, bias, added ? added + l * 2 * n.wide : nullptr, of_frame, first, hop, time + at, here);
            for (long tap = 0; tap < n.taps; tap++) {
                const float *tapped = now + past + at - (n.taps - 1 - tap) * n.dilations[l];
                const float *columns = weight + tap * n.channels * 2 * n.wide;
                for (long half = 0; half < 2; half++)
                    add_span(columns + half * n.wide, 2 * n.wide, room.rows, n.channels, tapped, stride,
                             room.gates + half * room.rows * SPAN, SPAN);
            }
            for (long i = 0; i < room.rows * SPAN; i += LANES)
                store(room.out + i, gated(load(room.gates + i), load(room.gates + room.rows * SPAN + i)));
            add_span(skips, n.wide_skip, room.rows_of_skip, n.channels, room.out, SPAN, room.skip + at, MOST_SAMPLES);
            if (l + 1 == n.layers) continue;
            for (long r = 0; r < room.rows; r++)
                for (long t = 0; t < SPAN; t += LANES)
                    store(next + r * stride + past + at + t, load(now + r * stride + past + at + t) + all(residual[r]));
            add_span(residual + n.wide, n.wide, room.rows, n.channels, room.out, SPAN, next + past + at, stride);
        }
        skips += n.channels * n.wide_skip;
        float *swap = now;
        now = next;
        next = swap;
    }
    for (long s = 0; s < spans; s++) {
        const long at = s * SPAN, here = samples - at < SPAN ? samples - at : SPAN;
        rectify_span(room.rows_of_skip, room.skip + at, MOST_SAMPLES);
        fill_span(n.hidden, room.rows_of_skip, room.hidden, SPAN);
        add_span(n.hidden + n.wide_skip, n.wide_skip, room.rows_of_skip, n.skip, room.skip + at, MOST_SAMPLES, room.hidden, SPAN);
        rectify_span(room.rows_of_skip, room.hidden, SPAN);
        fill_span(n.output, room.rows_of_output, room.parameters, SPAN);
        add_span(n.output + n.wide_outputs, n.wide_outputs, room.rows_of_output, n.skip, room.hidden, SPAN, room.parameters,
                 SPAN);
        for (long r = 0; r < n.outputs; r++)
            __builtin_memcpy(to + r * to_stride + at, room.parameters + r * SPAN, here * sizeof(float));
    }
}

} // namespace
