// A residual network of convolutions of 3 × 3 (networks/residual_images.py), one image at a time: everything between its
// input and its result stays in the processor's caches.
//
// The numbers of a channel lie in a plane, row by row, with zeros around and one between rows, so that what lies under a
// tap of a convolution is the plane moved by as many numbers for every pixel. A vector holds pixels.
#pragma once
#include <cstring>

#include "functions.h"
#include "structures.h"
#include "threads.h"

// Each of the three builds has its own copy of everything here, compiled for its own instructions.
namespace {
namespace image_network {

// A tile of a convolution has the sums of TALL channels and WIDE vectors of pixels in registers.
constexpr long TALL = 4, WIDE = REGISTER_BYTES == 64 ? 4 : 2;
constexpr long TAPS = 9;
// Images whose gradients are summed before those of other parts are added to them, whichever threads compute them.
constexpr long MOST_PARTS = 8;

INLINE long least(long a, long b) { return a < b ? a : b; }
INLINE long most(long a, long b) { return a > b ? a : b; }

// How the pixels of a channel lie in a plane of `size` numbers: those of `flat` from `before` on.
struct Planes {
    long height, width, pitch, flat, before, size, taps[TAPS];

    Planes(long height, long width)
        : height(height), width(width), pitch(width + 1), flat(padded(height * pitch)), before(padded(pitch + 1)),
          size(2 * before + flat) {
        // Planes a power of two apart would evict each other from the nearest cache.
        if (size / PADDING % 2 == 0) size += PADDING;
        for (long tap = 0; tap < TAPS; tap++) taps[tap] = (tap / 3 - 1) * pitch + tap % 3 - 1;
    }
    // From an image, (channels, height, width), to planes, and from (channels, flat) to one.
    void load(const float *image, long channels, float *to) const {
        for (long c = 0; c < channels; c++) std::memset(to + c * size + before, 0, sizeof(float) * flat);
        for (long row = 0; row < channels * height; row++)
            std::memcpy(to + row / height * size + before + row % height * pitch, image + row * width,
                        sizeof(float) * width);
    }
    void store(const float *from, long channels, float *image) const {
        for (long row = 0; row < channels * height; row++)
            std::memcpy(image + row * width, from + row / height * flat + row % height * pitch, sizeof(float) * width);
    }
};

// The parts of a call.
struct Network {
    long depth, hidden, inputs, outputs, widest; // the most channels of a layer
    Planes planes;
    const Convolution *layers;

    explicit Network(const ImageNetworkCall &call)
        : depth(call.depth), hidden(call.layers[0].outputs), inputs(call.layers[0].inputs),
          outputs(call.layers[depth - 1].outputs), widest(most(hidden, most(inputs, outputs))),
          planes(call.height, call.width), layers(call.layers) {}
    long of_layer() const { return hidden * planes.flat; } // results of a layer before the last, of an image
    long saved() const { return (depth - 2) * of_layer(); }
    bool is_skipped_to(long layer) const { return layer % 2 == 0 && layer > 0; } // from two layers before
    long weights(long layer) const { return layers[layer].outputs * layers[layer].inputs * TAPS; }
    long numbers() const { // of all weights and biases, and of what is added
        long total = of_layer();
        for (long l = 0; l < depth; l++) total += weights(l) + layers[l].outputs;
        return total;
    }
};

// 1 / (1 + e^-x), with one division and without selecting by the sign.
INLINE vec share(vec x) {
    const Scaled scaled = scaled_exponential(maximum(minimum(-x, all(87.0f)), all(-87.0f)));
    return 1.0f / (1.0f + scaled.mantissa * (vec)((scaled.power + 127) << 23));
}

// to[o, v] = bias[o] + base[o, v] + Σ weight[o, i, tap] in[i, v + tap] for O channels and V vectors of pixels.
template <long O, long V>
INLINE void tile(const Planes &planes, long inputs, const float *weight, const float *in, const float *bias,
                 const float *base, float *to) {
    vec sum[O][V];
    for (long o = 0; o < O; o++)
        for (long v = 0; v < V; v++) {
            sum[o][v] = bias ? all(bias[o]) : vec{};
            if (base) sum[o][v] += load(base + o * planes.flat + v * LANES);
        }
    for (long i = 0; i < inputs; i++, in += planes.size, weight += TAPS)
        for (long tap = 0; tap < TAPS; tap++) {
            vec row[V];
            for (long v = 0; v < V; v++) row[v] = load(in + planes.taps[tap] + v * LANES);
            for (long o = 0; o < O; o++) {
                const vec factor = all(weight[o * inputs * TAPS + tap]);
                for (long v = 0; v < V; v++) sum[o][v] += factor * row[v];
            }
        }
    for (long o = 0; o < O; o++)
        for (long v = 0; v < V; v++) store(to + o * planes.flat + v * LANES, sum[o][v]);
}

// The same for all pixels.
template <long O>
ALONE void rows_of_tiles(const Planes &planes, long inputs, const float *weight, const float *in, const float *bias,
                         const float *base, float *to) {
    for (long q = 0; q < planes.flat;) {
        const float *at = in + planes.before + q, *from = base ? base + q : nullptr;
        const long left = (planes.flat - q) / LANES, wide = left >= WIDE ? WIDE : left >= 2 ? 2 : 1;
        if (wide == WIDE)
            tile<O, WIDE>(planes, inputs, weight, at, bias, from, to + q);
        else if (wide == 2)
            tile<O, 2>(planes, inputs, weight, at, bias, from, to + q);
        else
            tile<O, 1>(planes, inputs, weight, at, bias, from, to + q);
        q += wide * LANES;
    }
}

// And for all channels: from planes to (outputs, flat). `bias` and `base` may be null.
INLINE void convolve(const Planes &planes, long outputs, long inputs, const float *weight, const float *in,
                     const float *bias, const float *base, float *to) {
    for (long o = 0; o < outputs;) {
        const long left = outputs - o, tall = left >= TALL ? TALL : left >= 2 ? 2 : 1;
        const auto tiles = tall == TALL ? rows_of_tiles<TALL> : tall == 2 ? rows_of_tiles<2> : rows_of_tiles<1>;
        tiles(planes, inputs, weight + o * inputs * TAPS, in, bias ? bias + o : nullptr,
              base ? base + o * planes.flat : nullptr, to + o * planes.flat);
        o += tall;
    }
}

// 1 bits at pixels, 0 bits between rows and behind the last one.
INLINE void pixel_masks(const Planes &planes, int32_t *masks) {
    for (long q = 0; q < planes.flat; q++) masks[q] = -(q % planes.pitch < planes.width && q < planes.height * planes.pitch);
}
INLINE vec at_pixels(vec value, const int32_t *masks) { return (vec)((ivec)value & *(const ivec *)masks); }

// z · sigmoid(z) of results, (channels, flat), in planes.
INLINE void activate(const Planes &planes, const int32_t *masks, const float *from, long channels, float *to) {
    for (long c = 0; c < channels; c++, from += planes.flat, to += planes.size)
        for (long q = 0; q < planes.flat; q += LANES) {
            const vec z = load(from + q);
            store(to + planes.before + q, at_pixels(z * share(z), masks + q));
        }
}

// What a thread works in: whole `planes` with zeros before and behind their pixels, `flats` of results, and the masks.
struct Room {
    float *planes, *flats;
    int32_t *masks;
    Room(Memory &memory, const Planes &of, long count, long count_flat) {
        planes = (float *)memory.of(sizeof(float) * (count * of.size + (count_flat + 1) * of.flat));
        flats = planes + count * of.size, masks = (int32_t *)(flats + count_flat * of.flat);
        const long behind = of.before + of.flat;
        for (long k = 0; k < count; k++) {
            std::memset(planes + k * of.size, 0, sizeof(float) * of.before);
            std::memset(planes + k * of.size + behind, 0, sizeof(float) * (of.size - behind));
        }
        pixel_masks(of, masks);
    }
};

// What is added to the first layer's result: an image, (hidden, height, width), in (hidden, flat).
INLINE void flatten_added(const Network &network, const float *added, float *to) {
    const Planes &planes = network.planes;
    std::memset(to, 0, sizeof(float) * network.hidden * planes.flat);
    for (long row = 0; row < network.hidden * planes.height; row++)
        std::memcpy(to + row / planes.height * planes.flat + row % planes.height * planes.pitch,
                    added + row * planes.width, sizeof(float) * planes.width);
}

// The result of the first layer, (hidden, flat): `in` has room for its input in planes. It is computed again for the
// gradients, which takes less time than to read it from memory.
INLINE void first_layer(const ImageNetworkCall &call, const Network &network, long n, const float *added, float *in, float *to) {
    const Planes &planes = network.planes;
    planes.load(call.images + n * network.inputs * planes.height * planes.width, network.inputs, in);
    convolve(planes, network.hidden, network.inputs, network.layers[0].weight, in,
             call.rows ? call.rows + n * network.hidden : nullptr, added, to);
}

INLINE void forward(const ImageNetworkCall &call) {
    const Network network(call);
    const Planes &planes = network.planes;
    const long of_layer = network.of_layer(), parts = least(call.count, MOST_PARTS);
    float *added = call.workspace;
    flatten_added(network, call.added, added);
    in_parts(parts, call.threads, [&](long part) {
        static thread_local Memory memory;
        const Room room(memory, planes, network.widest, (network.depth - 1) * network.hidden + network.outputs);
        float *first = room.flats, *last = first + (network.depth - 1) * of_layer;
        for (long n = part * call.count / parts; n < (part + 1) * call.count / parts; n++) {
            float *others = call.saved ? call.saved + n * network.saved() : first + of_layer;
            auto result = [&](long l) { return l + 1 == network.depth ? last : l ? others + (l - 1) * of_layer : first; };
            first_layer(call, network, n, added, room.planes, first);
            for (long l = 1; l < network.depth; l++) {
                const Convolution &layer = network.layers[l];
                activate(planes, room.masks, result(l - 1), network.hidden, room.planes);
                convolve(planes, layer.outputs, layer.inputs, layer.weight, room.planes, layer.bias,
                         network.is_skipped_to(l) ? result(l - 2) : nullptr, result(l));
            }
            planes.store(last, network.outputs, call.results + n * network.outputs * planes.height * planes.width);
        }
    });
}

} // namespace image_network
} // namespace
