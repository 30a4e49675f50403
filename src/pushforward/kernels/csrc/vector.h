// As many numbers at a time as fill a register, REGISTER_BYTES: float32 or, in a build with FLOAT64, float64.
//
// A `vec` is one register: of longer vectors g++ compares and selects the numbers one by one.
#pragma once
#include <cstdint>
#include <limits>
#include <type_traits>

#define INLINE static inline __attribute__((always_inline))
// For long functions with several callers: inlining would compile them once for each.
#define ALONE static __attribute__((noinline))

#ifdef FLOAT64
typedef double number;
#else
typedef float number;
#endif
typedef std::conditional<sizeof(number) == 4, int32_t, int64_t>::type integer;
constexpr long LANES = REGISTER_BYTES / sizeof(number);
// At any address, as rows of a tensor are.
typedef number vec __attribute__((vector_size(REGISTER_BYTES), aligned(sizeof(number)), may_alias));
typedef integer ivec __attribute__((vector_size(REGISTER_BYTES), aligned(sizeof(number)), may_alias));

INLINE vec all(number value) { return value - vec{}; }
INLINE vec load(const number *from) { return *(const vec *)from; }
INLINE void store(number *to, vec value) { *(vec *)to = value; }
// The first `count` lanes; the others repeat the first lane, so that they hold ordinary numbers.
INLINE vec load_some(const number *from, long count) {
    vec value = all(from[0]);
    for (long i = 0; i < count; i++) value[i] = from[i];
    return value;
}
INLINE void store_some(number *to, vec value, long count) {
    for (long i = 0; i < count; i++) to[i] = value[i];
}

// Rows and columns of weights are padded to a multiple of this, which every register divides.
constexpr long PADDING = 16;
INLINE long padded(long size) { return (size + PADDING - 1) / PADDING * PADDING; }

INLINE vec minimum(vec a, vec b) { return b < a ? b : a; }
INLINE vec maximum(vec a, vec b) { return b > a ? b : a; }
INLINE vec absolute(vec a) { return (vec)((ivec)a & std::numeric_limits<integer>::max()); }
INLINE vec root(vec a) {
    vec out;
    for (long i = 0; i < LANES; i++) out[i] = sizeof(number) == 4 ? __builtin_sqrtf(a[i]) : __builtin_sqrt(a[i]);
    return out;
}
INLINE vec rounded_down(vec a) {
    vec out;
    for (long i = 0; i < LANES; i++) out[i] = sizeof(number) == 4 ? __builtin_floorf(a[i]) : __builtin_floor(a[i]);
    return out;
}
