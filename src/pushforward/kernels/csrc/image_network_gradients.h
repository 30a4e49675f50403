// The gradients of a network of images, see image_network.h.
//
// Those of weights are sums over a band of images, then over the bands of a part, then over parts: each number is a sum in
// one order, whichever threads compute it.
#pragma once
#include <utility>

#include "image_network.h"

namespace {
namespace image_network {

// The planes of a band have at most this many numbers, so that all of them stay in the cache of a processor.
constexpr long NUMBERS_OF_BAND = 65536;
// Channels that a tile of the gradients of weights reads.
constexpr long READ = REGISTER_BYTES == 64 ? 2 : 1;

template <long HALF, size_t... LANE> INLINE vec upper_half_down(vec value, std::index_sequence<LANE...>) {
#if __has_builtin(__builtin_shufflevector)
    return __builtin_shufflevector(value, value, (LANE < HALF ? LANE + HALF : LANE)...);
#else
    vec out = value;
    for (long i = 0; i < HALF; i++) out[i] = value[i + HALF];
    return out;
#endif
}

// The sum of the numbers of a vector, half added to half.
template <long HALF = LANES / 2> INLINE float total(vec value) {
    if constexpr (HALF == 0)
        return value[0];
    else
        return total<HALF / 2>(value + upper_half_down<HALF>(value, std::make_index_sequence<LANES>{}));
}

// Images of a band, `stride` numbers apart.
struct Band {
    long count, stride;
};

// to[o, i, tap] += Σ g[o, v] in[i, v + tap] over the pixels v of a band, for the three taps of a row.
template <long O, long I>
INLINE void gradient_tile(const Planes &planes, Band band, const float *g, const float *in, long row, long inputs, float *to) {
    vec sum[O][I][3];
    for (long o = 0; o < O; o++)
        for (long i = 0; i < I; i++)
            for (long tap = 0; tap < 3; tap++) sum[o][i][tap] = vec{};
    in += planes.taps[3 * row];
    for (long n = 0; n < band.count; n++)
        for (long q = n * band.stride + planes.before; q < n * band.stride + planes.before + planes.flat; q += LANES) {
            vec read[I][3];
            for (long i = 0; i < I; i++)
                for (long tap = 0; tap < 3; tap++) read[i][tap] = load(in + i * planes.size + q + tap);
            for (long o = 0; o < O; o++) {
                const vec factor = load(g + o * planes.size + q);
                for (long i = 0; i < I; i++)
                    for (long tap = 0; tap < 3; tap++) sum[o][i][tap] += factor * read[i][tap];
            }
        }
    for (long o = 0; o < O; o++)
        for (long i = 0; i < I; i++)
            for (long tap = 0; tap < 3; tap++) to[(o * inputs + i) * TAPS + 3 * row + tap] += total(sum[o][i][tap]);
}

template <long O>
ALONE void rows_of_gradients(const Planes &planes, Band band, const float *g, const float *in, long inputs, float *to) {
    for (long row = 0; row < 3; row++)
        for (long i = 0; i < inputs; i += READ)
            if (i + READ <= inputs)
                gradient_tile<O, READ>(planes, band, g, in + i * planes.size, row, inputs, to + i * TAPS);
            else
                gradient_tile<O, 1>(planes, band, g, in + i * planes.size, row, inputs, to + i * TAPS);
}

// The gradients of the weights of a layer, added to those of other bands.
INLINE void of_weights(const Planes &planes, Band band, const Convolution &layer, const float *g, const float *in, float *to) {
    for (long o = 0; o < layer.outputs;) {
        const long left = layer.outputs - o, tall = left >= TALL ? TALL : left >= 2 ? 2 : 1;
        const auto tiles = tall == TALL ? rows_of_gradients<TALL> : tall == 2 ? rows_of_gradients<2> : rows_of_gradients<1>;
        tiles(planes, band, g + o * planes.size, in, layer.inputs, to + o * layer.inputs * TAPS);
        o += tall;
    }
}

// Weights of the transposed convolution, (inputs, outputs, taps from the last to the first).
INLINE void turn(const Convolution &layer, float *to) {
    for (long o = 0; o < layer.outputs; o++)
        for (long i = 0; i < layer.inputs; i++)
            for (long tap = 0; tap < TAPS; tap++)
                to[(i * layer.outputs + o) * TAPS + TAPS - 1 - tap] = layer.weight[(o * layer.inputs + i) * TAPS + tap];
}

// z · sigmoid(z) of results, (channels, flat), and its derivative, both in planes.
INLINE void activate_with_slope(const Planes &planes, const int32_t *masks, const float *from, long channels, float *to,
                                float *slope) {
    for (long c = 0; c < channels; c++)
        for (long q = 0; q < planes.flat; q += LANES) {
            const long at = c * planes.size + planes.before + q;
            const vec z = load(from + c * planes.flat + q), s = share(z);
            store(to + at, at_pixels(z * s, masks + q));
            store(slope + at, at_pixels(s + z * s * (1.0f - s), masks + q));
        }
}

// Gradients of the results of a layer, in planes where the slopes are, from those of the activated ones, (channels, flat);
// `skipping` adds those of the layer two later, in planes, or is null. Their sums over pixels are added to `of_bias`, and
// written to `of_rows`; those of each pixel are added to `of_added`, (channels, flat). Both may be null.
INLINE void back_through_activation(const Planes &planes, const float *of_activated, const float *skipping, long channels,
                                    float *slope, float *of_bias, float *of_rows, float *of_added) {
    for (long c = 0; c < channels; c++) {
        vec sum = {};
        for (long q = 0; q < planes.flat; q += LANES) {
            const long at = c * planes.size + planes.before + q, at_flat = c * planes.flat + q;
            vec g = load(of_activated + at_flat) * load(slope + at);
            if (skipping) g += load(skipping + at);
            store(slope + at, g);
            sum += g;
            if (of_added) store(of_added + at_flat, load(of_added + at_flat) + g);
        }
        const float of_channel = total(sum);
        of_bias[c] += of_channel;
        if (of_rows) of_rows[c] = of_channel;
    }
}

INLINE void add(const float *__restrict from, long count, float *__restrict to) {
    for (long i = 0; i < count; i++) to[i] += from[i];
}

// Where the gradients of a part are summed: of what is added, then of each layer's weights and biases.
INLINE float *of_layer(const Network &network, float *sums, long layer) {
    sums += network.of_layer();
    for (long l = 0; l < layer; l++) sums += network.weights(l) + network.layers[l].outputs;
    return sums;
}

// The gradients of the results of an image, to planes, and their sums over pixels.
INLINE void load_gradients(const ImageNetworkCall &call, const Network &network, long n, float *to, float *of_bias) {
    const Planes &planes = network.planes;
    planes.load(call.of_results + n * network.outputs * planes.height * planes.width, network.outputs, to);
    for (long o = 0; o < network.outputs; o++) {
        vec sum = {};
        for (long q = 0; q < planes.flat; q += LANES) sum += load(to + o * planes.size + planes.before + q);
        of_bias[o] += total(sum);
    }
}

// The images of a band back through one layer: `g` to `next`, the gradients of the results before.
INLINE void back_through_layer(const ImageNetworkCall &call, const Network &network, const Room &room, Band band, long first,
                               long l, const float *added, const float *turned, float *sums, const float *g,
                               const float *skipping, float *next, float *in) {
    const Planes &planes = network.planes;
    const Convolution &layer = network.layers[l];
    const long pixels = planes.height * planes.width, hidden = network.hidden;
    for (long n = 0; n < band.count; n++) {
        float *here = in + n * band.stride, *slope = next + n * band.stride;
        if (l == 0) {
            planes.load(call.images + (first + n) * network.inputs * pixels, network.inputs, here);
            continue;
        }
        if (l == 1) first_layer(call, network, first + n, added, slope, room.flats);
        const float *saved = l > 1 ? call.saved + (first + n) * network.saved() + (l - 2) * network.of_layer() : room.flats;
        activate_with_slope(planes, room.masks, saved, hidden, here, slope);
    }
    of_weights(planes, band, layer, g, in, of_layer(network, sums, l));
    if (l == 0 && !call.of_images) return;
    float *of_bias = l ? of_layer(network, sums, l - 1) + network.weights(l - 1) : nullptr;
    for (long n = 0; n < band.count; n++) {
        convolve(planes, layer.inputs, layer.outputs, turned, g + n * band.stride, nullptr, nullptr, room.flats);
        if (l == 0)
            planes.store(room.flats, network.inputs, call.of_images + (first + n) * network.inputs * pixels);
        else
            back_through_activation(planes, room.flats, skipping ? skipping + n * band.stride : nullptr, hidden,
                                    next + n * band.stride, of_bias,
                                    l == 1 && call.of_rows ? call.of_rows + (first + n) * hidden : nullptr,
                                    l == 1 ? sums : nullptr);
    }
}

INLINE ImageNetworkSizes sizes(const ImageNetworkCall &call) {
    const Network network(call);
    long turned = 0;
    for (long l = 0; l < network.depth; l++) turned += network.weights(l);
    return {call.count * network.saved(), network.of_layer() + turned + least(call.count, MOST_PARTS) * network.numbers()};
}

INLINE void gradients(const ImageNetworkCall &call) {
    const Network network(call);
    const Planes &planes = network.planes;
    const long parts = least(call.count, MOST_PARTS), stride = network.widest * planes.size;
    const long most_images = most(1, NUMBERS_OF_BAND / stride);
    float *added = call.workspace, *turned = added + network.of_layer(), *all_sums = turned; // behind the turned weights
    flatten_added(network, call.added, added);
    for (long l = 0; l < network.depth; l++) turn(network.layers[l], all_sums), all_sums += network.weights(l);
    std::memset(all_sums, 0, sizeof(float) * parts * network.numbers());
    in_parts(parts, call.threads, [&](long part) {
        static thread_local Memory memory;
        const long last = (part + 1) * call.count / parts, images = least(most_images, (call.count + parts - 1) / parts);
        const Room room(memory, planes, 4 * images * network.widest, network.widest);
        float *buffers[3], *in = room.planes + 3 * images * stride;
        for (long k = 0; k < 3; k++) buffers[k] = room.planes + k * images * stride;
        for (long first = part * call.count / parts; first < last; first += images) {
            const Band band = {least(images, last - first), stride};
            float *sums = all_sums + part * network.numbers();
            float *of_bias = of_layer(network, sums, network.depth) - network.outputs;
            for (long n = 0; n < band.count; n++)
                load_gradients(call, network, first + n, buffers[0] + n * stride, of_bias);
            const float *weights = all_sums;
            for (long l = network.depth - 1, k = 0; l >= 0; l--, k++) {
                weights -= network.weights(l);
                // Of layer l the gradients are in buffer k, of layer l + 1 in the one before it, which is two after it.
                const bool skipped = l > 0 && l + 2 < network.depth && network.is_skipped_to(l + 1);
                back_through_layer(call, network, room, band, first, l, added, weights, sums, buffers[k % 3],
                                   skipped ? buffers[(k + 2) % 3] : nullptr, buffers[(k + 1) % 3], in);
            }
        }
    });
    const long numbers = network.numbers();
    for (long part = 1; part < parts; part++) add(all_sums + part * numbers, numbers, all_sums);
    for (long l = 0; l < network.depth; l++) {
        const Convolution &layer = network.layers[l];
        const float *from = of_layer(network, all_sums, l);
        std::memcpy(layer.of_weight, from, sizeof(float) * network.weights(l));
        if (l) std::memcpy(layer.of_bias, from + network.weights(l), sizeof(float) * layer.outputs);
    }
    planes.store(all_sums, network.hidden, call.of_added);
}

} // namespace image_network
} // namespace
