// A tile of a matrix product with all of its sums in registers.
#pragma once
#include "vector.h"

// Units of a tile, and how many vectors of the other side: AVX-512 has registers for 16 vectors of sums, others for 8.
constexpr long UNITS = 4;
constexpr long WIDE = REGISTER_BYTES == 64 ? 4 : 2; // g++ defines no __AVX512F__ for a pragma

// c[u, v] = start(u, v) + Σ_k a[u, k] b[k, v] for UNITS u and V vectors of v, handed to `end`.
template <long V, class Start, class End>
INLINE void tile(long inner, const number *a, long a_unit, long a_inner, const number *b, long b_inner, long b_vector,
                 Start start, End end) {
    vec sum[UNITS][V];
    for (long u = 0; u < UNITS; u++)
        for (long v = 0; v < V; v++) sum[u][v] = start(u, v);
    for (long k = 0; k < inner; k++) {
        vec row[V];
        for (long v = 0; v < V; v++) row[v] = load(b + k * b_inner + v * b_vector);
        for (long u = 0; u < UNITS; u++) {
            const vec factor = all(a[u * a_unit + k * a_inner]);
            for (long v = 0; v < V; v++) sum[u][v] += factor * row[v];
        }
    }
    for (long u = 0; u < UNITS; u++)
        for (long v = 0; v < V; v++) end(u, v, sum[u][v]);
}
