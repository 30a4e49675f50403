// Functions of float64 numbers, within a few units in the last place; rational functions of the Cephes library, and for exp,
// which splines need most, a Taylor series, since a division takes as long as ten products.
#pragma once
#include "vector.h"

// Σ coefficients[k] x^(n - 1 - k).
template <long N> INLINE vec polynomial(vec x, const double (&coefficients)[N]) {
    vec p = all(coefficients[0]);
    for (long k = 1; k < N; k++) p = p * x + coefficients[k];
    return p;
}

// exp(x) - 1 for |x| ≤ 0.35, exact also where x is tiny.
INLINE vec exponential_minus_one_of_small(vec x) {
    constexpr double P[] = {1 / 6227020800.0, 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0, 1 / 362880.0, 1 / 40320.0,
                            1 / 5040.0,       1 / 720.0,       1 / 120.0,      1 / 24.0,      1 / 6.0,      0.5};
    return polynomial(x, P) * x * x + x;
}

// 2^power, for -1022 to 1023.
INLINE vec power_of_two(ivec power) { return (vec)((power + 1023) << 52); }

// exp(x) = mantissa · 2^power, for |x| < 710.
struct Scaled {
    vec mantissa;
    ivec power;
};
INLINE Scaled scaled_exponential(vec x) {
    constexpr double ROUNDING = 6755399441055744.0; // 1.5 · 2^52: a sum with it is an integer, which is in the low bits
    const vec shifted = x * 1.4426950408889634 + ROUNDING, n = shifted - ROUNDING;
    const vec rest = x - n * 6.93145751953125e-1 - n * 1.42860682030941723212e-6;
    return {exponential_minus_one_of_small(rest) + 1.0, (ivec)shifted - 0x4338000000000000};
}

// exp of a number that is not positive, without what `exponential` does for others; e^-708 below -708.
INLINE vec exponential_of_negative(vec x) {
    const Scaled scaled = scaled_exponential(maximum(x, all(-708.0)));
    return scaled.mantissa * power_of_two(scaled.power);
}

// exp; 0 below -708.39, infinity above 709.78, NaN of NaN.
INLINE vec exponential(vec x) {
    const Scaled scaled = scaled_exponential(maximum(minimum(x, all(709.8)), all(-708.4)));
    // In two factors, since 2^1024 is not a float64. Half of a negative number, where shifts of its sign are missing.
    typedef uint64_t uvec __attribute__((vector_size(REGISTER_BYTES)));
    const ivec half = (ivec)((uvec)(scaled.power + 2048) >> 1) - 1024;
    vec out = scaled.mantissa * power_of_two(half) * power_of_two(scaled.power - half);
    out = x < -708.39 ? vec{} : out;
    out = x > 709.782712893384 ? all(__builtin_inf()) : out;
    return x == x ? out : x;
}

// The natural logarithm; -infinity of 0, NaN of negative numbers and NaN.
INLINE vec logarithm(vec x) {
    constexpr double P[] = {1.01875663804580931796e-4, 4.97494994976747001425e-1, 4.70579119878881725854e0,
                            1.44989225341610930846e1,  1.79368678507819816313e1,  7.70838733755885391666e0};
    constexpr double Q[] = {1.0,
                            1.12873587189167450590e1,
                            4.52279145837532221105e1,
                            8.29875266912776603211e1,
                            7.11544750618563894466e1,
                            2.31251620126765340583e1};
    const ivec tiny = x < 2.2250738585072014e-308;
    const vec y = tiny ? x * 18014398509481984.0 : x; // so that subnormal numbers have all their digits
    const ivec bits = (ivec)y;
    // The exponent as a number: in the low bits of 2^52 + it.
    typedef uint64_t uvec __attribute__((vector_size(REGISTER_BYTES)));
    const ivec biased = (ivec)((uvec)bits >> 52);
    vec e = (vec)(biased | 0x4330000000000000) - (4503599627370496.0 + 1022.0) - (tiny ? all(54.0) : vec{});
    vec m = (vec)((bits & 0x000fffffffffffff) | 0x3fe0000000000000); // in [1/2, 1)
    const ivec small = m < 0.70710678118654752440;
    e = small ? e - 1.0 : e;
    m = (small ? m + m : m) - 1.0;
    const vec z = m * m;
    vec out = m * (z * polynomial(m, P) / polynomial(m, Q)) - e * 2.121944400546905827679e-4 - 0.5 * z;
    out = out + m + e * 0.693359375;
    out = x == 0.0 ? all(-__builtin_inf()) : out;
    out = x < 0.0 ? all(__builtin_nan("")) : out;
    return x < __builtin_inf() ? out : x;
}

INLINE vec arctangent(vec x) {
    constexpr double P[] = {-8.750608600031904122785e-1, -1.615753718733365076637e1, -7.500855792314704667340e1,
                            -1.228866684490136173410e2, -6.485021904942025371773e1};
    constexpr double Q[] = {1.0,
                            2.485846490142306297962e1,
                            1.650270098316988542046e2,
                            4.328810604912902668951e2,
                            4.853903996359136964868e2,
                            1.945506571482613964425e2};
    const vec size = absolute(x);
    const ivec large = size > 2.41421356237309504880, middle = size > 0.66;
    const vec start = large ? all(1.57079632679489661923) : middle ? all(0.78539816339744830962) : vec{};
    const vec rest = large ? all(6.123233995736765886130e-17) : middle ? all(3.061616997868382943065e-17) : vec{};
    const vec y = large ? -1.0 / size : middle ? (size - 1.0) / (size + 1.0) : size, z = y * y;
    const vec out = start + (y * (z * polynomial(z, P) / polynomial(z, Q)) + rest + y);
    return x < 0.0 ? -out : out;
}

INLINE vec hyperbolic_tangent(vec x) {
    constexpr double P[] = {-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3};
    constexpr double Q[] = {1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3};
    const vec z = x * x, e = exponential(-2.0 * absolute(x)), far = (1.0 - e) / (1.0 + e);
    return absolute(x) < 0.625 ? x * z * (polynomial(z, P) / polynomial(z, Q)) + x : x < 0.0 ? -far : far;
}

INLINE vec error_function(vec x) {
    constexpr double T[] = {9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3,
                            7.00332514112805075473e3, 5.55923013010394962768e4};
    constexpr double U[] = {1.0,
                            3.35617141647503099647e1,
                            5.21357949780152679795e2,
                            4.59432382970980127987e3,
                            2.26290000613890934246e4,
                            4.92673942608635921086e4};
    constexpr double P[] = {2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0,
                            4.86371970985681366614e1,   1.96520832956077098242e2,  5.26445194995477358631e2,
                            9.34528527171957607540e2,   1.02755188689515710272e3,  5.57535335369399327526e2};
    constexpr double Q[] = {1.0,
                            1.32281951154744992508e1,
                            8.67072140885989742329e1,
                            3.54937778887819891062e2,
                            9.75708501743205489753e2,
                            1.82390916687909736289e3,
                            2.24633760818710981792e3,
                            1.65666309194161350182e3,
                            5.57535340817727675546e2};
    const vec z = x * x, size = minimum(absolute(x), all(6.5)); // 1 beyond
    const vec far = 1.0 - exponential(-size * size) * (polynomial(size, P) / polynomial(size, Q));
    const vec out = absolute(x) < 1.0 ? x * (polynomial(z, T) / polynomial(z, U)) : x < 0.0 ? -far : far;
    return x == x ? out : x;
}
