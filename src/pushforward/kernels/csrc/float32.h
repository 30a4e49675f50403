// Functions of float32 numbers, within a few units in the last place; polynomials of the Cephes library.
#pragma once
#include "vector.h"

// exp(x) - 1 for |x| ≤ 0.35, exact also where x is tiny.
INLINE vec exponential_minus_one_of_small(vec x) {
    vec p = all(1.9875691500e-4f);
    p = p * x + 1.3981999507e-3f;
    p = p * x + 8.3334519073e-3f;
    p = p * x + 4.1665795894e-2f;
    p = p * x + 1.6666665459e-1f;
    p = p * x + 5.0000001201e-1f;
    return p * x * x + x;
}

// exp(x) = mantissa · 2^power, for |x| < 89.
struct Scaled {
    vec mantissa;
    ivec power;
};
INLINE Scaled scaled_exponential(vec x) {
    const vec shifted = x * 1.44269504f + 12582912.0f; // rounds to an integer, which is in the low bits
    const vec n = shifted - 12582912.0f, rest = x - n * 0.693359375f + n * 2.12194440e-4f;
    return {exponential_minus_one_of_small(rest) + 1.0f, (ivec)shifted - 0x4b400000};
}

// exp, within 2 units in the last place; 0 below -87.3, infinity above 88.7, NaN of NaN.
INLINE vec exponential(vec x) {
    const Scaled scaled = scaled_exponential(maximum(minimum(x, all(88.73f)), all(-87.33f)));
    // In two factors, since 2^128 is not a float.
    const ivec half = scaled.power >> 1;
    vec out = scaled.mantissa * (vec)((half + 127) << 23) * (vec)((scaled.power - half + 127) << 23);
    out = x < -87.33f ? vec{} : out;
    out = x > 88.7228f ? all(__builtin_inff()) : out;
    return x == x ? out : x;
}

// exp of a number that is not positive, without what `exponential` does for others; e^-87 below -87.
INLINE vec exponential_of_negative(vec x) {
    const Scaled scaled = scaled_exponential(maximum(x, all(-87.0f)));
    return scaled.mantissa * (vec)((scaled.power + 127) << 23);
}

// The natural logarithm, within 2 units in the last place; -infinity of 0, NaN of negative numbers and NaN.
INLINE vec logarithm(vec x) {
    ivec tiny = x < 1.17549435e-38f;
    vec y = tiny ? x * 8388608.0f : x; // so that subnormal numbers have all their digits
    ivec bits = (ivec)y;
    ivec exponent = (bits >> 23) - 126;
    vec m = (vec)((bits & 0x007fffff) | 0x3f000000); // in [1/2, 1)
    ivec small = m < 0.707106781f;
    vec e = __builtin_convertvector(exponent, vec) - (small ? all(1.0f) : vec{}) - (tiny ? all(23.0f) : vec{});
    m = (small ? m + m : m) - 1.0f;
    vec z = m * m;
    vec p = all(7.0376836292e-2f);
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    vec out = p * m * z + e * -2.12194440e-4f - 0.5f * z + m + e * 0.693359375f;
    out = x == 0.0f ? all(-__builtin_inff()) : out;
    out = x < 0.0f ? all(__builtin_nanf("")) : out;
    return x < __builtin_inff() ? out : (x == x ? x : x);
}

INLINE vec arctangent(vec x) {
    vec size = absolute(x);
    ivec large = size > 2.414213562f, middle = size > 0.4142135624f;
    vec start = large ? all(1.5707963268f) : middle ? all(0.7853981634f) : vec{};
    vec y = large ? -1.0f / size : middle ? (size - 1.0f) / (size + 1.0f) : size;
    vec z = y * y;
    vec p = all(8.05374449538e-2f);
    p = p * z - 1.38776856032e-1f;
    p = p * z + 1.99777106478e-1f;
    p = p * z - 3.33329491539e-1f;
    vec out = start + (p * z * y + y);
    return x < 0.0f ? -out : out;
}

INLINE vec hyperbolic_tangent(vec x) {
    vec z = x * x, e = exponential(-2.0f * absolute(x)), far = (1.0f - e) / (1.0f + e);
    vec p = all(-5.70498872745e-3f);
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    return absolute(x) < 0.625f ? p * z * x + x : x < 0.0f ? -far : far;
}

INLINE vec error_function(vec x) {
    vec y = maximum(minimum(x, all(4.0f)), all(-4.0f)), z = y * y;
    vec p = all(-2.72614225801306e-10f);
    p = p * z + 2.77068142495902e-08f;
    p = p * z - 2.10102402082508e-06f;
    p = p * z - 5.69250639462346e-05f;
    p = p * z - 7.34990630326855e-04f;
    p = p * z - 2.95459980854025e-03f;
    p = p * z - 1.60960333262415e-02f;
    vec q = all(-1.45660718464996e-05f);
    q = q * z - 2.13374055278905e-04f;
    q = q * z - 1.68282697438203e-03f;
    q = q * z - 7.37332916720468e-03f;
    q = q * z - 1.42647390514189e-02f;
    return x == x ? y * p / q : x;
}
